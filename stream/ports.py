"""The ports of a local stack: the usual ones or free ones, and a clear word when one is taken."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Final

LOOPBACK: Final = "127.0.0.1"
DEFAULTS: Final[Mapping[str, int]] = {
    "broker": 9092, "clickhouse": 8123, "gateway": 4318, "gateway-grpc": 4317, "viewer": 8400,
}  # fmt: skip


class PortsError(RuntimeError):
    """Ports are taken; one line for each, and the cure."""


def choose(parts: list[str], mode: str) -> dict[str, int]:
    """A port for each of these parts. ``mode``: "default" or "auto"; raises PortsError, ValueError.

    A part without a usual port (a worker's health port) always gets a free one.
    """
    if mode not in ("default", "auto"):
        raise ValueError(f"ports: expected default or auto, got {mode!r}")
    usual = {part: DEFAULTS[part] for part in parts if mode == "default" and part in DEFAULTS}
    _require_free(usual)
    return {**usual, **_free([part for part in parts if part not in usual])}


def _require_free(ports: Mapping[str, int]) -> None:
    busy = [
        f"port {port} ({part}) is in use on {LOOPBACK}" for part, port in ports.items() if not _is_free(port)
    ]
    if busy:
        raise PortsError(
            "\n".join([*busy, "Stop what listens there, or let free ports be chosen: --ports auto"])
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            # Another's socket that may share the address would let bind pass, but not listen.
            probe.listen(1)
        except OSError:
            return False
        return True


def _free(parts: list[str]) -> dict[str, int]:
    """Held open until all are known, so that no two are the same."""
    held = [socket.socket() for _ in parts]
    try:
        for probe in held:
            probe.bind((LOOPBACK, 0))
        return {part: probe.getsockname()[1] for part, probe in zip(parts, held, strict=True)}
    finally:
        for probe in held:
            probe.close()
