"""Which user of this machine is at the other end of a loopback connection (Linux: ``/proc/net/tcp``)."""

from __future__ import annotations

import ipaddress
import os
import pwd
import sys
from pathlib import Path
from typing import Any, Final

_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _UID = 1, 2, 7


def user_of(transport: Any) -> int | None:
    """The user id of the client of this connection; None where it is not on this machine, or not found."""
    client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not client or not server or not _is_loopback(client[0]):
        return None
    wanted = {(_packed(client[0]), client[1], _packed(server[0]), server[1])}
    for table in _TABLES:
        found = _look_up(table, wanted)
        if found is not None:
            return found
    return None


def may_act_for_us(uid: int | None) -> bool:
    """Whether this user is the one this process runs as, or root, who could become it anyway."""
    return uid is not None and uid in (os.getuid(), 0)


def name_of(uid: int) -> str:
    """The user's name, else the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _packed(address: str) -> bytes:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).packed


def _look_up(table: Path, wanted: set[tuple[bytes, int, bytes, int]]) -> int | None:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if (*_end(fields[_LOCAL]), *_end(fields[_REMOTE])) in wanted:
            return int(fields[_UID])
    return None


def _end(text: str) -> tuple[bytes, int]:
    """``0100007F:1F90`` as address and port; the kernel prints words in the byte order of the host."""
    address, port = text.split(":")
    raw = bytes.fromhex(address)
    if sys.byteorder == "little":
        raw = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    return _packed(str(ipaddress.ip_address(raw))), int(port, 16)
