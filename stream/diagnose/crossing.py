"""Crossing: events of several ranks meet in the lanes of their run and are judged in one order.

docs/rules.md says what holds ("Across ranks"). An event waits until the watermark has passed it; those of a
step wait for each other; then come the turns of causes, symptoms and rules on diagnosis.
"""

from __future__ import annotations

from typing import Final

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.clock import Clock, Reading
from stream.diagnose.comparing import Comparing
from stream.diagnose.counts import Counts
from stream.diagnose.crossings import LANES, Crossings
from stream.diagnose.judging import Judge
from stream.diagnose.lane import DESERTED, Lane, Member
from stream.diagnose.runs import Emitter, Run
from stream.diagnose.watermark import ENDLESS, NEVER
from stream.events import Event

MAX_WAITING: Final = 131_072
"""Events and decisions that wait in one run; one more and the oldest is judged before its time."""
_LOOK_EVERY: Final = 31
"""How often that is looked at: with every 32nd of them."""


class Crossing:
    """Works on the meetings of runs."""

    def __init__(self, crossings: Crossings, judge: Judge, counts: Counts, max_waiting: int) -> None:
        self.needed = crossings.needed
        self._crossings = crossings
        self._judge = judge
        self._decider = judge.publisher.decider
        self._comparing = Comparing(crossings, judge, counts)
        self._counts = counts
        self._max_waiting = max_waiting

    def hear(self, run: Run, emitter: Emitter, event: Event, reading: Reading, out: list[Diagnosis]) -> None:
        """An event is in order and about to be judged."""
        meeting = run.meeting
        if meeting.only != emitter.key and meeting.hear(emitter.key, emitter.resource, event, reading):
            self._advance(run, ENDLESS, ENDLESS, out)

    def heard(self, run: Run, out: list[Diagnosis]) -> None:
        """The event was judged by the rules that need no other rank."""
        meeting = run.meeting
        if meeting.alone:
            self._decider.settle(run, out)
        elif not meeting.idle:
            self._advance(run, *meeting.watermark.levels(), out)
            if meeting.pushed & _LOOK_EVERY == 0:
                while meeting.size > self._max_waiting:
                    self._spill(run, out)

    def at_rest(self, run: Run, emitter: Emitter) -> bool:
        """Whether an event of this emitter that no rule says anything of changes nothing here."""
        meeting = run.meeting
        return meeting.only == emitter.key and not any(lane.inhibition.may_free for lane in meeting.lanes)

    def end_emitter(self, run: Run, emitter: Emitter, out: list[Diagnosis]) -> None:
        """It said that it ends; what is open for it across ranks ends in its turn."""
        meeting = run.meeting
        meeting.watermark.end(emitter.key)
        meeting.only = None
        if meeting.alone:
            if _deserted(run):
                self._judge.end_shared(run, None, meeting.place, out)
                self._judge.end_diagnoses(run, meeting.place, out)
            return
        place = meeting.watermark.last(emitter.key)
        for number in LANES:
            if self._crossings.on[number] or self._crossings.echoes == number:
                meeting.lanes[number].put(place, emitter.key, emitter.resource.rank, None, None)

    def tick(self, run: Run, clock: Clock, now: int, out: list[Diagnosis]) -> None:
        """The clock moved, and who fell silent has said so."""
        meeting = run.meeting
        meeting.floor = NEVER
        meeting.watermark.tick(clock)
        if meeting.alone:
            self._judge.tick(run, (now, now), out)
            self._decider.settle(run, out)
        else:
            self._advance(run, *meeting.watermark.levels(), out)

    def drain(self, run: Run, out: list[Diagnosis]) -> None:
        """The recorded data ended: nothing is waited for."""
        if not run.meeting.alone:
            self._advance(run, ENDLESS, ENDLESS, out)

    def expire(self, run: Run, now: int, out: list[Diagnosis]) -> None:
        """Nothing came for so long, perhaps by a single tick, that what waits has waited for long enough."""
        if not run.meeting.alone:
            self._advance(run, now, now, out)
            self._advance(run, ENDLESS, ENDLESS, out)

    def fence(self, run: Run, out: list[Diagnosis]) -> None:
        """The attempt ended: what waits is not judged any more."""
        meeting = run.meeting
        meeting.over = True
        for lane in meeting.lanes:
            self._counts.fenced += len(lane.events) + sum(one.held for one in lane.steps.values())
            lane.events.clear()
            lane.steps.clear()
        self._decider.fence(run, out)

    def _advance(self, run: Run, strict: int, bounded: int, out: list[Diagnosis]) -> None:
        """Judge what the watermark has passed, then decide what that leaves decided."""
        meeting, levels = run.meeting, (strict, bounded)
        for number in LANES:
            lane = meeting.lanes[number]
            if lane.waits(levels[number]):
                self._events(run, number, lane, levels[number], out)
        if strict < ENDLESS and meeting.quiet_by(strict, bounded):
            self._judge.tick(run, levels, out)
        for number in LANES:
            lane = meeting.lanes[number]
            if lane.turns:
                ready = max(meeting.ready(number, levels[number]), lane.decided)
                self._decider.decide(run, lane, ready, out)

    def _events(self, run: Run, number: int, lane: Lane, level: int, out: list[Diagnosis]) -> None:
        while (member := lane.next_event(level)) is not None:
            self._gathered(run, number, lane, member.place, out)
            self._left(run, number, lane, out)
            if member.event is None:
                self._ended(run, number, lane, member, out)
            else:
                self._comparing.event(run, number, lane, member, out)
        self._gathered(run, number, lane, level, out)
        lane.level = level
        self._left(run, number, lane, out)

    def _gathered(self, run: Run, number: int, lane: Lane, at_ns: int, out: list[Diagnosis]) -> None:
        for steps in lane.steps.values():
            for _, members in steps.complete(at_ns, run.meeting.watermark.expected):
                self._comparing.step(run, number, lane, members, out)

    def _ended(self, run: Run, number: int, lane: Lane, member: Member, out: list[Diagnosis]) -> None:
        emitter = run.emitters.get(member.source)
        if emitter is not None:
            self._comparing.end(lane, emitter)
            lane.leaving.append((member.source, member.place))
            self._gathered(run, number, lane, member.place, out)
            self._left(run, number, lane, out)

    def _left(self, run: Run, number: int, lane: Lane, out: list[Diagnosis]) -> None:
        """Who ended, and is part of no step any more that is still to be judged, takes along what is open."""
        for source, place in list(lane.leaving):
            if lane.gathers(source):
                continue
            lane.leaving.remove((source, place))
            run.meeting.floor = place
            last = _deserted(run) and lane.deserted
            self._judge.end_shared(run, None if last else source, place, out, number)
            if last and self._crossings.echoes == number:
                lane.turn(place, DESERTED, "", (), place, None, None)

    def _spill(self, run: Run, out: list[Diagnosis]) -> None:
        """Too much waits: the oldest goes first, ready or not."""
        meeting = run.meeting
        number, lane = max(enumerate(meeting.lanes), key=lambda one: one[1].size)
        self._counts.spilled += 1
        first = lane.oldest_step()
        if first is not None:
            self._comparing.step(run, number, lane, first, out)
        elif lane.events:
            self._events(run, number, lane, lane.events[0].place, out)
        else:
            self._decider.decide(run, lane, lane.turns[0].place, out)


def _deserted(run: Run) -> bool:
    return not any(emitter.live for emitter in run.emitters.values())
