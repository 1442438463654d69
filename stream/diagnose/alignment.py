"""Alignment of ranks by step number: who belongs into one step's group, and when a group is complete.

Works on events in one order of time (the lane's), so what comes out is a function of that order alone.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

MAX_GROUPS: Final = 1024
"""Steps open at the same time; one more and the first of them is judged as it is."""

Member = TypeVar("Member")


class Group(Generic[Member]):
    """The members of one step. ``passed``: who has gone on to a later step."""

    __slots__ = ("first_ns", "members", "passed")

    def __init__(self, first_ns: int) -> None:
        self.first_ns = first_ns
        self.members: list[Member] = []
        self.passed: set[str] = set()


class Alignment(Generic[Member]):
    """The open steps of one kind of event.

    A step is complete when everybody who takes part has gone on to a later one, or ``lateness_ns`` after
    its first member; whoever lets that time pass is not waited for until it is heard again.
    """

    def __init__(self, lateness_ns: int) -> None:
        self._lateness_ns = lateness_ns
        self._groups: dict[int, Group[Member]] = {}
        self._open: list[int] = []
        self._steps: dict[str, int] = {}
        self._waited: dict[str, None] = {}
        self._top = -1
        self._judged: dict[int, int] = {}
        self._started_ns: int | None = None
        self.held = 0

    @property
    def first_ns(self) -> int | None:
        """When the oldest open step began; None where none is open."""
        return min((group.first_ns for group in self._groups.values()), default=None)

    def take(self, who: str, step: int, at_ns: int, member: Member) -> bool:
        """Put a member into its step's group. False where that step was judged already: it is late."""
        if self._started_ns is None:
            self._started_ns = at_ns
        last = self._steps.get(who)
        self._steps[who] = step
        self._waited[who] = None
        self._pass(who, last, step)
        group = self._groups.get(step)
        if group is None:
            back = last is not None and step < last
            if self._late(step, at_ns, back):
                return False
            group = self._begin(step, at_ns, back)
        group.members.append(member)
        self.held += 1
        return True

    def complete(self, at_ns: int, world: int) -> Iterator[tuple[int, list[Member]]]:
        """The steps that are complete at this time, in order; ``world`` is how many ranks there are, or 0."""
        while self._open:
            step = self._open[0]
            group = self._groups[step]
            if group.first_ns + self._lateness_ns < at_ns:
                self._leave_behind(group)
            elif not self._all_passed(group, at_ns, world) and len(self._open) <= MAX_GROUPS:
                return
            yield step, self._end(step, at_ns)

    def first(self, at_ns: int) -> tuple[int, list[Member]] | None:
        """The first open step, complete or not."""
        return (self._open[0], self._end(self._open[0], at_ns)) if self._open else None

    def leave(self, who: str) -> None:
        """This one ended: nobody waits for it."""
        self._steps.pop(who, None)
        self._forsake(who)

    def _forsake(self, who: str) -> None:
        if who in self._waited:
            del self._waited[who]
            for group in self._groups.values():
                group.passed.discard(who)

    def holds(self, who: str, whose: Callable[[Member], str]) -> bool:
        """Whether an open step has a member of this one."""
        return any(whose(member) == who for group in self._groups.values() for member in group.members)

    def _begin(self, step: int, at_ns: int, back: bool) -> Group[Member]:
        if back:
            self._top = min(self._top, step - 1)
        group = self._groups[step] = Group(at_ns)
        insort(self._open, step)
        if not back:
            group.passed.update(who for who in self._waited if self._steps[who] > step)
        return group

    def _late(self, step: int, at_ns: int, back: bool) -> bool:
        """Whether this step's turn is over. Who goes back by itself, as after a rollback, begins anew."""
        judged_ns = self._judged.get(step)
        if judged_ns is not None and at_ns - judged_ns <= self._lateness_ns:
            return True
        return step <= self._top and not back

    def _pass(self, who: str, last: int | None, step: int) -> None:
        begin = 0 if last is None else bisect_left(self._open, last)
        for number in self._open[begin : bisect_left(self._open, step)]:
            self._groups[number].passed.add(who)

    def _all_passed(self, group: Group[Member], at_ns: int, world: int) -> bool:
        if len(group.passed) < len(self._waited):
            return False
        if not self._waited:
            return True
        everybody = 0 < world <= len(self._steps)
        return everybody or (self._started_ns is not None and at_ns > self._started_ns + self._lateness_ns)

    def _leave_behind(self, group: Group[Member]) -> None:
        for who in [who for who in self._waited if who not in group.passed]:
            self._forsake(who)

    def _end(self, step: int, at_ns: int) -> list[Member]:
        del self._open[0]
        group = self._groups.pop(step)
        self.held -= len(group.members)
        self._top = max(self._top, step)
        for old in [one for one, judged_ns in self._judged.items() if judged_ns < at_ns - self._lateness_ns]:
            del self._judged[old]
        self._judged.pop(step, None)
        self._judged[step] = min(at_ns, group.first_ns + self._lateness_ns)
        return group.members

    def save(self) -> list[Any]:
        """The state as plain data but for the members."""
        groups = [
            [step, self._groups[step].first_ns, sorted(self._groups[step].passed), self._groups[step].members]
            for step in self._open
        ]
        return [
            groups,
            self._steps,
            list(self._waited),
            self._top,
            [[step, at_ns] for step, at_ns in self._judged.items()],
            self._started_ns,
        ]

    @classmethod
    def load(cls, lateness_ns: int, state: list[Any]) -> Alignment[Member]:
        """Goes on where ``save`` was called; members must be made ready by the caller."""
        made = cls(lateness_ns)
        groups, steps, waited, made._top, judged, made._started_ns = state
        made._steps = dict(steps)
        made._waited = dict.fromkeys(waited)
        made._judged = dict(judged)
        for step, first_ns, passed, members in groups:
            group = made._groups[step] = Group(first_ns)
            group.passed.update(passed)
            group.members = members
            made._open.append(step)
            made.held += len(members)
        return made
