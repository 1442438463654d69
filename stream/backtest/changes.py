"""What another version of the rules says differently about the same runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from stream.backtest.replaying import Firing, Recorded

_Key: TypeAlias = "tuple[str, str, int]"


@dataclass(frozen=True)
class Change:
    """One firing that only the old (``now`` None) or only the new rules have, or that moved."""

    run: str
    rule: str
    before: Firing | None
    now: Firing | None

    @property
    def word(self) -> str:
        """gone, new or moved."""
        if self.now is None:
            return "gone"
        return "new" if self.before is None else "moved"


def changes(before: Iterable[Recorded], now: Iterable[Recorded]) -> list[Change]:
    """The differences by run, rule and rank; firings of the same key are paired in their order."""
    old, new = _by_key(before), _by_key(now)
    found = []
    for key in sorted({*old, *new}):
        was, are = _without_common(old.get(key, []), new.get(key, []))
        found += [Change(key[0], key[1], left, right) for left, right in zip_longest(was, are)]
    return found


def _by_key(recorded: Iterable[Recorded]) -> dict[_Key, list[Firing]]:
    found: dict[_Key, list[Firing]] = {}
    for run in recorded:
        for firing in run.firings:
            rank = -1 if firing.rank is None else firing.rank
            found.setdefault((run.run, firing.rule, rank), []).append(firing)
    return found


def _without_common(was: list[Firing], are: list[Firing]) -> tuple[list[Firing], list[Firing]]:
    """What is left of both when those at the same place are taken away."""
    left, right = list(was), []
    for firing in are:
        same = next((one for one in left if _place(one) == _place(firing)), None)
        if same is None:
            right.append(firing)
        else:
            left.remove(same)
    return left, right


def _place(firing: Firing) -> tuple[object, ...]:
    return firing.step, firing.line, firing.time_ns, firing.severity, firing.category
