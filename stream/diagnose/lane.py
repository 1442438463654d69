"""A lane of one run attempt: what several ranks said, put into one order before it is judged.

Three things wait here: events for cross-rank rules, in the order of time, rank, emitter and number; the
steps that are still being gathered; and turns, which are decisions to take at a moment: causes that fire
or resolve, then what rules on diagnosis hear, then symptoms, then symptoms that their cause leaves free, and
in the end that everybody has left.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.alignment import Alignment
from stream.diagnose.inhibition import Held, Inhibition, Kin
from stream.diagnose.latest import Latest
from stream.diagnose.reading import Groups
from stream.diagnose.watermark import ENDLESS, NEVER
from stream.events import Event

CAUSE: Final = 0
ECHO: Final = 1
SYMPTOM: Final = 2
FREED: Final = 3
DESERTED: Final = 4


class Member(NamedTuple):
    """An event on its way through a lane. ``event`` None: ``source``, which is an emitter, ended here."""

    place: int
    rank: int
    source: str
    seq: int
    name: str
    serial: int
    event: Event | None
    matches: Mapping[str, Groups] | None


class Turn(NamedTuple):
    """A decision. ``made``: what to say or weigh; ``reason`` is set where something resolves."""

    place: int
    kind: int
    order: int
    rule: str
    key: str
    serial: int
    time_ns: int
    held: Held | None
    made: Diagnosis | None
    reason: str | None = None
    at: tuple[int | None, float | None] | None = None
    values: dict[str, Any] | None = None


class Lane:
    """``reached``: the last place that was judged; what comes for an earlier one is late.

    ``leaving``: emitters that ended, and where. ``series`` remembers where the events of an emitter go, by
    rule and emitter, and ``level`` how far steps were looked at; both can be found again.
    """

    def __init__(self, lateness_ns: int, kin: Kin) -> None:
        self.events: list[Member] = []
        self.turns: list[Turn] = []
        self.steps: dict[str, Alignment[Member]] = {}
        self.latest: dict[tuple[str, int, str | None], Latest] = {}
        self.series: dict[tuple[str, str], Any] = {}
        self.leaving: list[tuple[str, int]] = []
        self.inhibition = Inhibition(kin)
        self.reached = self.level = NEVER
        self.decided = NEVER
        self.count = 0
        self._lateness_ns = lateness_ns
        self._order = kin.order

    @property
    def size(self) -> int:
        """How much waits."""
        return len(self.events) + len(self.turns) + sum(steps.held for steps in self.steps.values())

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self.turns and not self.events and not any(steps.held for steps in self.steps.values())

    def gathers(self, source: str) -> bool:
        """Whether a step that is still to be judged has an event of this emitter."""
        return any(steps.held and steps.holds(source, _source) for steps in self.steps.values())

    @property
    def deserted(self) -> bool:
        """Whether nobody is left whose end is still to come."""
        return not self.leaving and not any(other.event is None for other in self.events)

    def waits(self, level: int) -> bool:
        """Whether an event or a step may have its turn at this level."""
        if self.events and self.events[0].place <= level:
            return True
        return level > self.level and any(steps.held for steps in self.steps.values())

    @property
    def ready_ns(self) -> int:
        """Turns may be taken up to here: the steps being gathered may still say something after it."""
        began = [steps.first_ns for steps in self.steps.values()]
        return min((first - 1 for first in began if first is not None), default=ENDLESS)

    def alignment(self, name: str) -> Alignment[Member]:
        """The steps of one kind of event."""
        found = self.steps.get(name)
        if found is None:
            found = self.steps[name] = Alignment(self._lateness_ns)
        return found

    def put(
        self, place: int, source: str, rank: int | None, event: Event | None,
        matches: Mapping[str, Groups] | None,
    ) -> bool:  # fmt: skip
        """An event to be judged in its turn; False where that has passed."""
        if place < self.reached:
            return False
        self.count += 1
        seq = ENDLESS if event is None else -1 if event.seq is None else event.seq
        name = "" if event is None else event.name
        order = -1 if rank is None else rank
        heapq.heappush(self.events, Member(place, order, source, seq, name, self.count, event, matches))
        return True

    def turn(
        self, place: int, kind: int, rule: str, key: tuple[Any, ...], time_ns: int, held: Held | None,
        made: Diagnosis | None, **ending: Any,
    ) -> bool:  # fmt: skip
        """A decision to take in its turn; False where that has passed, and it is taken at once."""
        self.count += 1
        heapq.heappush(
            self.turns,
            Turn(
                place,
                kind,
                self._order.get(rule, -1),
                rule,
                repr(key),
                self.count,
                time_ns,
                held,
                made,
                **ending,
            ),
        )
        return place >= self.decided

    def next_event(self, level: int) -> Member | None:
        """The next event whose turn has come."""
        if not self.events or self.events[0].place > level:
            return None
        member = heapq.heappop(self.events)
        self.reached = max(self.reached, member.place)
        return member

    def next_turn(self, level: int) -> Turn | None:
        """The next decision whose turn has come."""
        if not self.turns or self.turns[0].place > level:
            return None
        turn = heapq.heappop(self.turns)
        self.decided = max(self.decided, turn.place)
        return turn

    def oldest_step(self) -> list[Member] | None:
        """The members of the step that began first, complete or not, where steps hold the lane up."""
        begun = [(steps.first_ns, name) for name, steps in self.steps.items() if steps.first_ns is not None]
        if not begun:
            return None
        first_ns, name = min(begun, key=lambda one: (one[0] or 0, one[1]))
        found = self.steps[name].first(first_ns or 0)
        return None if found is None else found[1]


def _source(member: Member) -> str:
    return member.source
