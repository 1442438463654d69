"""What an incident cost: steps to be made again, seconds without progress, the same times GPUs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

STANDING: Final = frozenset([
    "hang", "data_stall", "nccl_timeout", "process_exit", "node_loss", "unreachable", "gpu_lost", "segfault",
    "preemption",
])  # fmt: skip
"""Categories in which the run makes no progress while they fire."""


@dataclass
class Cost:
    """``lost``: stretches (Unix ns) whose work is gone or was never done; ``since_ns``: one still open."""

    lost_steps: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)
    since_ns: int | None = None

    def rewound(self, at_step: int | None, kept_step: int | None, kept_ns: int, now_ns: int) -> None:
        """Training goes on from what was saved then: all that came after it has to be done again."""
        if at_step is not None:
            self.lost_steps += max(0, at_step - (kept_step or 0))
        self.lost.append((min(kept_ns, now_ns), now_ns))

    def stands(self, time_ns: int) -> None:
        """From here on there is no progress."""
        if self.since_ns is None:
            self.since_ns = time_ns

    def moves(self, time_ns: int) -> None:
        """There is progress again."""
        if self.since_ns is not None:
            self.lost.append((self.since_ns, max(time_ns, self.since_ns)))
            self.since_ns = None

    def seconds(self, until_ns: int | None) -> float:
        """All stretches together, each second once; one that is open counts up to ``until_ns``."""
        spans = list(self.lost)
        if self.since_ns is not None and until_ns is not None:
            spans.append((self.since_ns, max(until_ns, self.since_ns)))
        total, reached = 0, 0
        for begin, end in sorted(spans):
            total += max(0, end - max(begin, reached))
            reached = max(reached, end)
        return total / 1e9

    def to_json(self, until_ns: int | None, gpus: int | None) -> dict[str, Any]:
        """As an incident shows it; GPU seconds are None where the number of GPUs is."""
        seconds = self.seconds(until_ns)
        return {
            "lost_steps": self.lost_steps,
            "lost_seconds": round(seconds, 3),
            "gpu_seconds": None if gpus is None else round(seconds * gpus, 3),
        }
