"""What each action is: who executes it, whether ranks agree on one step for it, whether it destroys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EMITTER: Final = "emitter"
SUPERVISOR: Final = "supervisor"
STREAM: Final = "stream"
"""Done by remediation itself; never sent to a trainer."""
ACTOR: Final = "actor"
"""Done by a program of the user's that subscribes to ``remediation.commands``."""


@dataclass(frozen=True)
class Action:
    """One action of a rule's ``then:``.

    ``executors`` come in order of preference: the next one acts where the one before it cannot.
    ``coordinated`` ones run on all ranks at one agreed step; ``immediate`` ones run where they arrive,
    without a step boundary; ``destructive`` ones wait for a person unless told otherwise.
    """

    name: str
    executors: tuple[str, ...]
    coordinated: bool = False
    immediate: bool = False
    destructive: bool = False


TABLE: Final = {
    action.name: action
    for action in (
        Action("save", (EMITTER,), coordinated=True),
        Action("pause", (EMITTER,), coordinated=True),
        Action("resume", (EMITTER,), immediate=True),
        Action("stop", (EMITTER, SUPERVISOR), coordinated=True, destructive=True),
        Action("restart", (EMITTER, SUPERVISOR), coordinated=True, destructive=True),
        Action("rollback", (EMITTER, SUPERVISOR), coordinated=True, destructive=True),
        Action("set", (EMITTER,), coordinated=True),
        Action("dump_stacks", (EMITTER, SUPERVISOR), immediate=True),
        Action("profile", (EMITTER,), coordinated=True),
        Action("notify", (STREAM,)),
        Action("exclude_node", (ACTOR,), destructive=True),
    )
}
