"""Which actions ranks agree on."""

from __future__ import annotations

from emitter.vocabulary import actions


def is_coordinated(action: str) -> bool:
    """Whether ranks agree on a step for it; also for actions of the trainer's own."""
    known = actions.TABLE.get(action)
    return known is None or known.coordinated
