"""Pressure stall information. Format: https://docs.kernel.org/accounting/psi.html"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_KINDS: Final = {
    "cpu": ("some",),  # of the whole system, `full` of the CPU is always 0
    "memory": ("some", "full"),
    "io": ("some", "full"),
}


def stalled(folder: Path, prefix: str, suffix: str = "") -> dict[str, float]:
    """Seconds stalled so far, as ``<prefix>.<resource>.<kind>``; nothing where the kernel does not count."""
    found = {}
    for resource, kinds in _KINDS.items():
        for kind, total_us in _read(folder / f"{resource}{suffix}").items():
            if kind in kinds:
                found[f"{prefix}.{resource}.{kind}"] = total_us * 1e-6
    return found


def _read(file: Path) -> dict[str, float]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        kind, _, rest = line.partition(" ")
        total = rest.rpartition("total=")[2]
        if total.isdigit():
            found[kind] = float(total)
    return found
