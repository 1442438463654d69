"""One absence: what a rule waits for on one rank, since when, and how long that may take.

Two kinds. The absence of heartbeats is judged by the clock: the rank is silent although its path is alive.
The absence of anything else is judged by heartbeats: the rank is alive, its records up to this heartbeat
were read in order, and what it should have done is not among them. So an outage of telemetry, a backlog
or a dead rank is never taken for a hang, and no clock but the rank's own decides. While another rank is in
a phase that the rule does not count, this one may wait for it, and its clock stands too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from operator import sub
from typing import Any, Final

from emitter.vocabulary import attributes
from emitter.vocabulary import events as words
from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.away import Away, all_here
from stream.diagnose.clock import Clock
from stream.diagnose.inhibition import Held
from stream.diagnose.saved import load_diagnosis, load_event, load_resource, save_diagnosis, save_struct
from stream.diagnose.since import Since, save_since, since
from stream.events import Event, Resource, Value
from stream.rulelang.model import Absent, Rule

GAPS: Final = 50
"""Recent gaps whose longest sets the limit."""
PENDING: Final = 16
"""Starts that wait for their end; more, and the oldest are forgotten."""
SPAN_GRACE_NS: Final = 10_000_000_000
"""How much later than log records the end of a span may be read."""
SAME_NS: Final = 1_000
"""Progress this close to a step is that step: no phase begins so soon after it."""
MOVED_NS: Final = 1_000_000_000
"""Progress by less than this is not worth starting the clock anew."""

Key = tuple[Any, ...]


class Listener:
    """One series of one absence rule.

    ``since``: from where the clock runs, None while it stands. ``mark``: from where the next gap is measured.
    ``waiting``: the starts (``after``) not answered yet. ``last``: the latest ``of``. ``beat``: the rank's
    latest heartbeat. ``inside``: the rank is in a phase whose time counts, as far as its heartbeats say;
    ``away``: when it was in others; ``crew``: the listeners of this rule on all ranks of the role.
    ``by_clock``: the clock decides, for heartbeats are absent. ``due``: when the tick clock will look at it,
    None where it will not. ``serial`` orders the listeners.
    """

    __slots__ = (
        "absent", "away", "beat", "by_clock", "crew", "diagnosis", "due", "emitter", "floor_ns", "gaps",
        "held", "inside", "key", "last", "live", "mark", "resource", "rule", "serial", "since", "waiting",
    )  # fmt: skip

    def __init__(self, rule: Rule, absent: Absent, key: Key, serial: int) -> None:
        self.rule = rule
        self.absent = absent
        self.key = key
        self.serial = serial
        self.floor_ns = int(absent.for_s * 1e9)
        self.by_clock = absent.of == words.HEARTBEAT
        self.emitter = ""
        self.resource: Resource | None = None
        self.due: int | None = None
        self.diagnosis: Diagnosis | None = None
        self.held: Held | None = None
        self.away = Away()
        self.crew: list[Listener] = [self]
        self.forget()

    def forget(self) -> None:
        """The process ended: its silence means nothing until it speaks again."""
        self.live = False
        self.gaps: deque[int] = deque(maxlen=GAPS)
        self.last: Since | None = None
        self.since: Since | None = None
        self.mark: Since | None = None
        self.waiting: deque[Since] = deque(maxlen=PENDING)
        self.beat: Event | None = None
        self.inside = True

    @property
    def longest_ns(self) -> int:
        """The longest recent gap, 0 where there was none."""
        return max(self.gaps, default=0)

    @property
    def limit_ns(self) -> int:
        """How long the absence may last."""
        if not self.absent.times:
            return self.floor_ns
        return max(self.floor_ns, int(self.absent.times * self.longest_ns))

    @property
    def deadline(self) -> int | None:
        """When the absence becomes too long, None while the clock stands."""
        return None if self.since is None else self.since.time + self.limit_ns

    @property
    def others(self) -> Iterator[Away]:
        """When the other ranks that do the same work were away."""
        return (one.away for one in self.crew if one is not self)

    def take(self, event: Event, now: int | None) -> None:
        """What was waited for came. Its clock may be behind ours: for heartbeats the later one counts."""
        self.live = True
        end = event.end
        came = since(event, event.time if end is None else end)
        if self.by_clock:
            self._meet(event)
            came.time = max(came.time, now or 0)
        if self.absent.after is not None:
            self._answer(came)
        else:
            self._repeat(came)
        if self.last is None or came.time >= self.last.time:
            self.last = came

    def takes_calmly(self, name: str) -> bool:
        """Whether events of this name would only move the clock on: all is well, nothing waits for one."""
        if name != self.absent.of or self.by_clock or self.diagnosis is not None or self.held is not None:
            return False
        return not self.waiting and self.inside and (self.absent.after is None or self.since is None)

    def take_all(self, events: Sequence[Event]) -> None:
        """What ``take`` does of each of them, for a listener that takes them calmly."""
        self.live = True
        ends = [event.time if event.end is None else event.end for event in events]
        if self.absent.after is None:
            self._repeat_all(events, ends)
        newest = max(ends)
        place = len(ends) - 1 - ends[::-1].index(newest)
        if self.last is None or ends[place] >= self.last.time:
            self.last = since(events[place], ends[place])

    def _repeat_all(self, events: Sequence[Event], ends: Sequence[int]) -> None:
        begin = self.mark.time if self.mark is not None else ends[0]
        self.gaps.extend([gap for gap in map(sub, ends, [begin, *ends]) if gap > 0])
        self.mark = since(events[-1], ends[-1])
        self.since = self.mark if self.gaps else None

    def start(self, event: Event) -> None:
        """The event after which something must follow; one that was answered already starts nothing."""
        self.live = True
        if self.last is not None and self.last.time >= event.time:
            return
        self.waiting.append(since(event, event.time))
        if self.since is None and self.inside:
            self.since = self.waiting[0]

    def hear(self, beat: Event) -> None:
        """A heartbeat: the rank lives. Time outside the rule's phases, and progress, start the clock anew."""
        self.live = True
        self._meet(beat)
        if not self.inside:
            self.since = self.mark = None
            if self.last is not None:
                self.away.stay(beat.time)
            return
        self.away.back(beat.time)
        if self.overtaken(beat):
            self.since = self.mark = self.last = since(beat, beat.time)
        elif self.since is None:
            self.since = (self.mark or since(beat, beat.time)) if self._armed() else None
        else:
            self._progress(beat)

    def overtaken(self, beat: Event) -> bool:
        """Whether a heartbeat speaks of a later step than the last one read: that step's record was lost."""
        last, step = self.last, beat.step
        if self.absent.of != words.STEP or last is None or last.step is None or step is None:
            return False
        return step > last.step

    def proven(self) -> int | None:
        """The deadline, where the latest heartbeat proves the absence: it came after it."""
        if self.by_clock or self.beat is None or self.since is None:
            return None
        heard = self.beat.time - (SPAN_GRACE_NS if self.absent.of in words.SPANS else 0)
        begin, limit = self.since.time, self.limit_ns
        if begin + limit > heard:
            return None
        if self.absent.phases:
            begin = all_here(self.others, begin, limit, heard)
        return begin + limit if begin + limit <= heard else None

    def excused(self, made: Diagnosis, time_ns: int) -> bool:
        """Whether another rank was away within the limit before this moment, by all that was heard of it."""
        if self.by_clock or not self.absent.phases:
            return False
        begin = time_ns - int(made.evidence["silent"] * 1e9) + SAME_NS
        return any(away.end_in(begin, time_ns) is not None for away in self.others)

    def silent(self, clock: Clock) -> bool:
        """Whether no heartbeat came by the deadline, and the path was alive after it."""
        deadline = self.deadline
        if clock.now is None or deadline is None or clock.now < deadline or self.resource is None:
            return False
        gateway = self.resource.gateway
        return gateway is None or clock.gateway_heard(gateway) >= deadline

    def evidence(self) -> dict[str, Value]:
        """What is known of the absence."""
        found: dict[str, Value] = dict(self.beat.values) if self.beat is not None else {}
        found["silent"] = self.limit_ns / 1e9
        if self.gaps:
            found["longest_gap"] = self.longest_ns / 1e9
        return found

    def save(self) -> list[Any]:
        """Plain data that ``load`` reads; what it is a listener of comes first."""
        return [
            self.rule.id,
            list(self.key),
            self.serial,
            self.emitter,
            save_struct(self.resource),
            self.due,
            save_diagnosis(self.diagnosis),
            self.live,
            list(self.gaps),
            *(save_since(one) for one in (self.last, self.since, self.mark)),
            [save_since(one) for one in self.waiting],
            save_struct(self.beat),
            self.inside,
            self.away.save(),
        ]

    def load(self, saved: Sequence[Any]) -> None:
        """Become what ``save`` gave."""
        (
            _,
            _,
            _,
            self.emitter,
            resource,
            self.due,
            diagnosis,
            self.live,
            gaps,
            *times,
            waiting,
            beat,
            inside,
            away,
        ) = saved
        self.resource = None if resource is None else load_resource(resource)
        self.diagnosis = load_diagnosis(diagnosis)
        self.gaps.extend(gaps)
        self.last, self.since, self.mark = (None if one is None else Since(*one) for one in times)
        self.waiting.extend(Since(*one) for one in waiting)
        self.beat = None if beat is None else load_event(beat)
        self.inside = inside
        self.away.load(away)

    def _armed(self) -> bool:
        """Whether anything is waited for: a start without its end, or the next of at least two."""
        return bool(self.waiting) if self.absent.after is not None else len(self.gaps) > 0

    def _meet(self, beat: Event) -> None:
        phases = self.absent.phases
        self.inside = not phases or beat.values.get(attributes.PHASE) in phases or self._goes_on(beat)
        self.beat = beat

    def _goes_on(self, beat: Event) -> bool:
        """Whether steps are made in this phase: one came after it was told, and no phase began since."""
        before, got_on, last = self.beat, self._got_on(beat), self.last
        if before is None or got_on is None or last is None or abs(got_on - last.time) >= SAME_NS:
            return False
        same = before.values.get(attributes.PHASE) == beat.values.get(attributes.PHASE)
        return same and (self.inside or last.time >= before.time)

    def _got_on(self, beat: Event) -> int | None:
        """When the rank last made a step or changed its phase, by its own word."""
        age = beat.values.get(words.PROGRESS_AGE)
        if self.absent.of != words.STEP or not isinstance(age, (int, float)):
            return None
        return beat.time - round(age * 1e9)

    def _progress(self, beat: Event) -> None:
        """A step may have many parts: each that begins shows that the rank gets on."""
        got_on = self._got_on(beat)
        if got_on is not None and self.since is not None and got_on > self.since.time + MOVED_NS:
            self.since = since(beat, got_on)

    def _repeat(self, came: Since) -> None:
        mark, gaps = self.mark, self.gaps
        if mark is not None and came.time > mark.time:
            gaps.append(came.time - mark.time)
        self.mark = came
        if self.inside:
            self.since = came if gaps or self.by_clock else None
        else:
            self.since = None
            self.away.back(came.time)

    def _answer(self, came: Since) -> None:
        """All starts up to this end are answered."""
        while self.waiting and self.waiting[0].time <= came.time:
            self.gaps.append(came.time - self.waiting.popleft().time)
        if self.since is not None and self.since.time <= came.time:
            self.since = self.waiting[0] if self.waiting and self.inside else None
