"""The kernel's log -> ``train.log``: Xid errors, kills, disks and links, as they happen.

Format: https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from emitter._guard import logger
from emitter._records import DEBUG, ERROR, FATAL, INFO, WARNING
from emitter.probes.claim import Claim
from emitter.probes.lines import Emit, Outlet

EVERY_S: Final = 0.5
CLAIM_EVERY_S: Final = 10.0
"""Seconds between looks whether the process that reads it for the node is gone."""
MOST_RECORDS: Final = 2000
"""Records read in one turn."""
KERNEL: Final = 0
"""The facility of the kernel itself; programs may write to this log too."""
_LONGEST: Final = 16384
_SEVERITY: Final = (FATAL, FATAL, FATAL, ERROR, WARNING, INFO, INFO, DEBUG)
_ESCAPE: Final = re.compile(r"\\x([0-9a-f]{2})")
_TELLING: Final = re.compile(
    r"NVRM|Xid|nvidia|nvme|mlx\d|\bib\d|oom|Out of memory|Killed process|segfault|Hardware Error|EDAC|mce:"
    r"|AER|I/O error|EXT4-fs|XFS|nfs|Lustre|blocked for more than|lockup|BUG:|Oops|panic|link (?:is )?down"
    r"|NETDEV WATCHDOG|pcieport|thermal|throttled",
    re.IGNORECASE,
)
"""Lines that have a budget of their own, so that a firewall's chatter cannot crowd them out."""
ATTRIBUTES: Final = {"logger.name": "kernel"}


class Record(NamedTuple):
    """One record: facility and severity of syslog, and the text."""

    facility: int
    level: int
    text: str


def parse(data: bytes) -> Record | None:
    """``<prefix>;<text>`` and lines of keys; None where it is something else."""
    prefix, found, rest = data.decode("utf-8", "replace").partition(";")
    number = prefix.partition(",")[0]
    if not found or not number.isdigit():
        return None
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), rest.partition("\n")[0])
    return Record(int(number) >> 3, int(number) & 7, text.strip())


def open_log(path: str = "/dev/kmsg") -> int:
    """A descriptor behind the newest record. Raises OSError where the log is not for us."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.lseek(descriptor, 0, os.SEEK_END)
    return descriptor


class KernelLog:
    """``turn`` sends what the kernel said since the last one, debug messages left out."""

    def __init__(
        self,
        emit: Emit,
        per_s: int,
        opened: Callable[[], int] | None = None,
        facilities: tuple[int, ...] = (KERNEL,),
        claim: Claim | None = None,
        told: Callable[[str], None] = lambda trouble: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opened, self._claim, self._told, self._now_s = opened or open_log, claim, told, now_s
        self._facilities = facilities
        self._outlets = [Outlet(emit, what, per_s) for what in ("the kernel log", "telling kernel messages")]
        self._descriptor = -1
        self._try_at: float | None = now_s()
        """When to claim it again; None where that is over."""
        self._open()

    @property
    def reading(self) -> bool:
        """Whether it is open to us."""
        return self._descriptor >= 0

    def turn(self) -> None:
        """Read what is new."""
        if self._try_at is not None and self._now_s() >= self._try_at:
            self._open()
        for _ in range(MOST_RECORDS):
            if self._descriptor < 0 or not self._one():
                break
        for outlet in self._outlets:
            outlet.tell()

    def close(self) -> None:
        """The last turn."""
        self.turn()
        for outlet in self._outlets:
            outlet.tell(now=True)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._try_at = None
        if self._claim is not None:
            self._claim.release()

    def _open(self) -> None:
        if self._claim is not None and not self._claim.take():
            self._try_at = self._now_s() + CLAIM_EVERY_S
            return
        self._try_at = None
        try:
            self._descriptor = self._opened()
        except OSError as error:
            logger.debug("the kernel log is not read: %s", error)
            self._told(str(error))

    def _one(self) -> bool:
        try:
            data = os.read(self._descriptor, _LONGEST)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.EPIPE:  # records were overwritten before we came
                self._outlets[0].drop(1)
                return True
            self._stop(error)
            return False
        record = parse(data)
        if record is not None and record.facility in self._facilities and _SEVERITY[record.level] > DEBUG:
            telling = _TELLING.search(record.text) is not None
            self._outlets[telling].send(record.text, _SEVERITY[record.level], ATTRIBUTES)
        return bool(data)

    def _stop(self, error: OSError) -> None:
        logger.debug("the kernel log is read no more: %s", error)
        self._told(str(error))
        os.close(self._descriptor)
        self._descriptor = -1
