"""One measured figure beside its peer's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """``ours`` and ``peer`` in ``unit``; ``ratio`` is ours / peer; ``target`` says what we want."""

    what: str
    ours: float
    peer: float
    unit: str
    peer_name: str
    target: str = ""

    @property
    def ratio(self) -> float:
        """Ours divided by the peer's."""
        return self.ours / self.peer if self.peer else float("nan")
