"""What lies in a spool while processes write to it and take it away."""

from __future__ import annotations

import os
from pathlib import Path


def segments(spool: Path) -> list[Path]:
    """Its files, in order; unlike rglob it bears folders that vanish meanwhile."""
    return sorted(
        Path(parent, name) for parent, _, names in os.walk(spool) for name in names if name.endswith(".seg")
    )
