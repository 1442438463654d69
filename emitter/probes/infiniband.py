"""Ports of InfiniBand and RoCE adapters. Files: https://docs.kernel.org/admin-guide/abi-stable.html"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from emitter.probes.rates import Rates

_WORDS: Final = 4
"""Data counters count words of four bytes (IBA 16.1.3.5)."""
_RATED: Final = {
    "counters/port_rcv_data": ("hw.network.io.receive", _WORDS),
    "counters/port_xmit_data": ("hw.network.io.transmit", _WORDS),
    "counters/port_xmit_wait": ("hw.network.transmit_wait", 1),
}
_COUNTED: Final = {
    "counters/link_downed": "hw.network.errors.link_downed",
    "counters/link_error_recovery": "hw.network.errors.link_error_recovery",
    "counters/symbol_error": "hw.network.errors.symbol",
    "counters/port_rcv_errors": "hw.network.errors.receive",
    "counters/port_xmit_discards": "hw.network.errors.discards",
    "counters/local_link_integrity_errors": "hw.network.errors.integrity",
    "counters/excessive_buffer_overrun_errors": "hw.network.errors.buffer_overrun",
    "hw_counters/local_ack_timeout_err": "hw.network.errors.timeout",
    "hw_counters/out_of_sequence": "hw.network.errors.out_of_sequence",
}


class InfinibandProbe:
    """One sample a port: ``hw.id`` is ``mlx5_0/1``. May hang while an adapter is sick."""

    def __init__(self, now_s: Callable[[], float], folder: Path = Path("/sys/class/infiniband")) -> None:
        self._now_s, self._folder = now_s, folder
        self._rates: dict[str, Rates] = {}

    def sample(self) -> list[dict[str, Any]]:
        """Names and values of each port, the device's model as ``hw.name``; empty without adapters."""
        try:
            ports = sorted(self._folder.glob("*/ports/*"))
        except OSError:
            return []
        return [self._port(port) for port in ports]

    def _port(self, port: Path) -> dict[str, Any]:
        device = port.parent.parent
        name = f"{device.name}/{port.name}"
        rates = self._rates.setdefault(name, Rates(self._now_s))
        read = {file: _count(port / file) for file in (*_RATED, *_COUNTED)}
        counters = {ours: read[file] * scale for file, (ours, scale) in _RATED.items() if read[file] >= 0}
        errors = {ours: read[file] for file, ours in _COUNTED.items() if read[file] >= 0}
        about = {"hw.id": name, "hw.type": "network", "hw.name": _text(device / "hca_type")}
        found = {key: value for key, value in about.items() if value}
        return found | _link(port) | rates.of(counters) | errors


def _link(port: Path) -> dict[str, float]:
    found = {}
    state, speed = _text(port / "state"), _text(port / "rate").split(" ")
    if state:
        found["hw.network.up"] = float("ACTIVE" in state)
    with contextlib.suppress(ValueError):
        found["hw.network.bandwidth.limit"] = float(speed[0]) * 1e9 / 8
    return found


def _count(file: Path) -> int:
    """-1 where there is none: adapters differ in what they count."""
    text = _text(file)
    return int(text) if text.isdigit() else -1


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
