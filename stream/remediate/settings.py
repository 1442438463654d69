"""What people set: the policy beside the rules. Plain data, so that it travels in the log of remediation."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from emitter.vocabulary import cloudevents, control

MODES: Final = control.MODES
ACT, APPROVE, SHADOW = MODES


class Budget(msgspec.Struct, frozen=True):
    """At most so many of these actions in a run within that time; no actions named: all together."""

    most: int
    within_s: float
    actions: tuple[str, ...] = ()


class Breaker(msgspec.Struct, frozen=True):
    """More than ``runs`` runs acted on within that time: nothing more is done until a person says so."""

    runs: int = 10
    within_s: float = 300.0


class Silence(msgspec.Struct, frozen=True):
    """Nothing is done and nobody told about what matches, until it ends. ``run``, ``rule``: None is any."""

    id: str
    ends_ns: int
    author: str
    run: str | None = None
    rule: str | None = None
    comment: str | None = None

    def covers(self, run: str, name: str | None, rule: str, time_ns: int) -> bool:
        """Whether it holds for this rule in this run (patterns as of a shell) at that time."""
        if time_ns >= self.ends_ns:
            return False
        if self.run is not None and not any(like(one, self.run) for one in (run, name)):
            return False
        return self.rule is None or like(rule, self.rule)


class RunMode(msgspec.Struct, frozen=True):
    """The mode of the runs whose id or name is like this pattern; ``ends_ns`` None: for good."""

    run: str
    mode: str
    ends_ns: int | None = None

    def covers(self, run: str, name: str | None, time_ns: int) -> bool:
        """Whether it holds for this run at that time."""
        ended = self.ends_ns is not None and time_ns >= self.ends_ns
        return not ended and (like(run, self.run) or like(name, self.run))


class Settings(msgspec.Struct, frozen=True):
    """The policy. Durations are seconds of the clock that the data make (see docs/remediation.md).

    ``settle_s``: nothing may fire for so long before an incident counts as resolved. ``together_s``: how far
    apart diagnoses of related categories may begin and still be one incident. ``answer_s``, ``sendings``:
    a command nobody acknowledges is sent again that often. ``lifetime_s``: how long it is worth obeying.
    ``finish_s``: how long a command that runs may take. ``restart_s``: how long the next attempt may take to
    begin. ``escalate_s``: a person is told when all was done and it fires on. ``words_s``: how old a word of
    an operator may be. ``lookback_s``: how much of the log a worker that takes over reads back.
    ``can_sign``: whether the workers have a key; without one nothing can be sent.
    """

    mode: str = APPROVE
    runs: tuple[RunMode, ...] = ()
    budgets: tuple[Budget, ...] = (Budget(3, 3600.0, ("restart", "rollback")), Budget(30, 3600.0))
    breaker: Breaker = Breaker()
    silences: tuple[Silence, ...] = ()
    settle_s: float = 30.0
    together_s: float = 300.0
    answer_s: float = 30.0
    sendings: int = 4
    lifetime_s: float = 600.0
    finish_s: float = 3600.0
    restart_s: float = 300.0
    escalate_s: float = 1800.0
    words_s: float = 3600.0
    lookback_s: float = 7 * 86_400.0
    can_sign: bool = True

    def mode_of(self, run: str, name: str | None, *others: str | None) -> str:
        """The strictest of the global mode, the one set for this run, and the others (None: not set)."""
        known = [self.mode, *(one for one in others if one in MODES)]
        known += [one.mode for one in self.runs if like(run, one.run) or like(name, one.run)]
        return max(known, key=MODES.index)

    def signing(self, can_sign: bool) -> Settings:
        """The same by workers that have a key, or have none."""
        return msgspec.structs.replace(self, can_sign=can_sign)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over everything inside."""
        text = cloudevents.dumps(self.to_json())
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def like(text: str | None, pattern: str) -> bool:
    """Whether the text fits a pattern as of a shell."""
    return text is not None and fnmatchcase(text, pattern)
