"""Where the ranks of one run attempt meet: its watermark, its lanes, and the symptoms that wait."""

from __future__ import annotations

from typing import Any, Final

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.clock import Reading
from stream.diagnose.crossings import BOUNDED, LANES, STRICT, UNNUMBERED, Crossings
from stream.diagnose.inhibition import Held
from stream.diagnose.lane import Lane
from stream.diagnose.logmatch import Matches
from stream.diagnose.watermark import ENDLESS, NEVER, Watermark
from stream.events import Event, Resource
from stream.rulelang.model import Rule

_NONE_OPEN: Final = [ENDLESS for _ in LANES]


class Meeting:
    """State of one attempt. ``alone``: one emitter only, everything is answered at once; ``only``: its key.

    ``place`` is that of the present event; none of its turns has a place before ``floor``. ``quiet_ns``: by
    lane, no open log series is quiet for long enough before it. ``over``: the attempt ended.
    """

    __slots__ = (
        "alone", "crossings", "floor", "lanes", "numbers", "only", "over", "place", "quiet_ns", "watermark",
    )  # fmt: skip

    def __init__(self, crossings: Crossings, lateness_ns: int) -> None:
        self.crossings = crossings
        self.watermark = Watermark(lateness_ns)
        self.lanes = tuple(Lane(lateness_ns, crossings.kin) for _ in LANES)
        self.alone = True
        self.over = False
        self.only: str | None = None
        self.place = self.floor = NEVER
        self.quiet_ns = list(_NONE_OPEN)
        self.numbers = 0

    def hear(self, source: str, resource: Resource, event: Event, reading: Reading) -> bool:
        """An event of an emitter, in order. True when the emitter is alone from now on, and was not."""
        watermark, in_order = self.watermark, event.name not in UNNUMBERED
        at = event.time if event.end is None else event.end
        # An absence lies before the heartbeat that proves it, by more than anybody waits: weighed as of then.
        self.floor = self.place = watermark.hear(source, resource, at, in_order, reading)
        was, self.alone = self.alone, watermark.alone
        self.only = source if self.alone else None
        return self.alone and not was

    def put(self, source: str, rank: int | None, event: Event, matches: Matches) -> int:
        """The present event waits in the lanes that want it; in how many its turn has passed."""
        lanes = self.crossings.wanted.get(event.name, ())
        return sum(not self.lanes[number].put(self.place, source, rank, event, matches) for number in lanes)

    def settled(self, source: str) -> bool:
        """Whether nothing that this source sends can change who is here."""
        return self.only == source or (self.watermark.several and self.watermark.knows(source))

    @property
    def idle(self) -> bool:
        """Whether nothing waits for the watermark."""
        return self.quiet_ns == _NONE_OPEN and self.lanes[STRICT].idle and self.lanes[BOUNDED].idle

    def await_quiet(self, until_ns: int, lane: int) -> None:
        """An open log series ends when everything until then was judged in this lane, and none matched."""
        self.quiet_ns[lane] = min(self.quiet_ns[lane], until_ns)

    def quiet_by(self, strict: int, bounded: int) -> bool:
        """Whether an open log series may have been quiet for long enough at these levels."""
        return self.quiet_ns[STRICT] <= strict or self.quiet_ns[BOUNDED] <= bounded

    def ready(self, lane: int, level: int) -> int:
        """Up to where the turns of a lane may be taken."""
        ready = min(level, self.lanes[lane].ready_ns)
        return ready if lane == STRICT else min(ready, self.lanes[STRICT].ready_ns)

    @property
    def pushed(self) -> int:
        """How much has ever waited."""
        return self.lanes[STRICT].count + self.lanes[BOUNDED].count

    @property
    def size(self) -> int:
        """How much waits."""
        return sum(lane.size for lane in self.lanes)

    def hold(self, rule: Rule, key: tuple[Any, ...], made: Diagnosis) -> Held:
        """A symptom opened."""
        self.numbers += 1
        lane = self.lanes[self.crossings.lane(rule.id)]
        return lane.inhibition.hold(self.numbers, rule, key, made)
