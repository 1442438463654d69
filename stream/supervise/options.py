"""What ``trainwarden run`` was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stream.supervise.restarts import Terms
from stream.supervise.watching import Limits


@dataclass(frozen=True)
class Options:
    """Seconds. ``grace_s``: how long a trainer may take to end after a signal of ours or one passed on.
    ``lines_per_s``: of each output stream. ``kill_hung`` false only reports. ``state``: folder for what
    outlives us, a temporary one without it. ``wait_s``: for a restart of the whole run on several nodes.
    ``instrument``: report the steps of a torch trainer that does not know of us.
    """

    command: Sequence[str]
    terms: Terms = field(default_factory=Terms)
    limits: Limits = field(default_factory=Limits)
    grace_s: float = 60.0
    lines_per_s: int = 100
    kill_hung: bool = True
    several_nodes: bool | None = None
    wait_s: float = 3600.0
    answer_s: float = 10.0
    state: Path | None = None
    instrument: bool = False
