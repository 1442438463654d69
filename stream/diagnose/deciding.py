"""Deciding: a symptom is said, or kept quiet by its causes, as of its own moment.

Alone in its attempt an emitter is answered at once. With several, what concerns causes and symptoms waits
in a lane until nothing older is to come, and is decided in the order of event time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from emitter.vocabulary.cloudevents import rfc3339
from emitter.vocabulary.diagnoses import RESOLVED, Diagnosis
from stream.diagnose import transitions, verdicts
from stream.diagnose.counts import Counts
from stream.diagnose.crossings import Crossings
from stream.diagnose.inhibition import Held, Symptom
from stream.diagnose.lane import CAUSE, DESERTED, ECHO, FREED, SYMPTOM, Lane, Turn
from stream.diagnose.meeting import Meeting
from stream.diagnose.runs import Run
from stream.diagnose.verdicts import Outcome
from stream.diagnose.watching import Watching
from stream.diagnose.watermark import ENDLESS
from stream.events import Event

Echo = Callable[[Run, Diagnosis, int, list[Diagnosis]], None]
Desert = Callable[[Run, int, list[Diagnosis]], None]


class Decider:
    """``echo`` tells rules on diagnosis what was said; ``desert`` ends what they have open.

    ``watching`` is told what is decided later than at the sample it is about.
    """

    def __init__(
        self, crossings: Crossings, counts: Counts, echo: Echo, desert: Desert,
        watching: Watching | None = None,
    ) -> None:  # fmt: skip
        self._crossings = crossings
        self._counts = counts
        self._echo = echo
        self._desert = desert
        self._watching = watching

    def ask(
        self, run: Run, symptom: Symptom, time_ns: int, make: Callable[[], Diagnosis], out: list[Diagnosis]
    ) -> Outcome:
        """A symptom would fire, or still would with these values."""
        meeting, made = run.meeting, make()
        held = symptom.held
        if held is None:
            held = symptom.held = meeting.hold(symptom.rule, symptom.key, made)
            held.symptom = symptom
        if not meeting.alone:
            if held.asked != made:
                held.asked = made
                self._put(meeting, held, made, time_ns)
            return verdicts.HELD, ""
        cause = self._weigh(run, self._lane_of(meeting, held.rule.id), held, made, time_ns, out)
        return (verdicts.FIRING, "") if cause is None else (verdicts.INHIBITED, cause)

    def close(
        self, run: Run, symptom: Symptom, time_ns: int, reason: str, event: Event | None,
        values: Mapping[str, Any], out: list[Diagnosis],
    ) -> None:  # fmt: skip
        """What was said or held ends."""
        meeting, held = run.meeting, symptom.held
        symptom.held = symptom.diagnosis = None
        if held is None:
            return
        lane = self._lane_of(meeting, held.rule.id)
        at = None if event is None else (event.step, event.epoch)
        ending = {"reason": reason, "at": at, "values": dict(values)}
        if meeting.alone or meeting.over:
            self._end(run, lane, held, time_ns, reason, at, values, out)
        else:
            place = max(time_ns, meeting.floor)
            self._late(lane.turn(place, SYMPTOM, held.rule.id, held.key, time_ns, held, None, **ending))

    def said(
        self, run: Run, rule: str, key: tuple[Any, ...], made: Diagnosis, time_ns: int, out: list[Diagnosis]
    ) -> None:
        """A transition was published: its symptoms and rules on diagnosis have to know."""
        meeting = run.meeting
        for number in self._crossings.causes.get(rule, ()):
            lane = meeting.lanes[number]
            if meeting.alone:
                lane.inhibition.count(made, made.state != RESOLVED, time_ns)
            else:
                self._late(lane.turn(max(time_ns, meeting.floor), CAUSE, rule, key, time_ns, None, made))
        if self._crossings.echoes is None or meeting.over or self._crossings.deaf(rule):
            return
        if meeting.alone:
            self._echo(run, made, time_ns, out)
        else:
            lane = meeting.lanes[self._crossings.echoes]
            self._late(lane.turn(max(time_ns, meeting.floor), ECHO, rule, key, time_ns, None, made))

    def settle(self, run: Run, out: list[Diagnosis]) -> None:
        """An event was judged, alone: symptoms it left without a cause speak up."""
        for lane in run.meeting.lanes:
            while lane.inhibition.may_free:
                self._free(run, lane, out)

    def decide(self, run: Run, lane: Lane, level: int, out: list[Diagnosis]) -> None:
        """Take the turns up to this level."""
        while (turn := lane.next_turn(level)) is not None:
            run.meeting.floor = turn.place
            if turn.kind == CAUSE and turn.made is not None:
                if lane.inhibition.count(turn.made, turn.made.state != RESOLVED, turn.time_ns):
                    lane.turn(turn.place, FREED, "", (), turn.time_ns, None, None)
            elif turn.kind == ECHO and turn.made is not None:
                self._echo(run, turn.made, turn.time_ns, out)
            elif turn.kind == FREED:
                self._free(run, lane, out)
                if lane.inhibition.may_free:
                    lane.turn(turn.place, FREED, "", (), turn.time_ns, None, None)
            elif turn.kind == DESERTED:
                self._desert(run, turn.time_ns, out)
            elif turn.held is not None:
                self._symptom(run, lane, turn, turn.held, out)

    def fence(self, run: Run, out: list[Diagnosis]) -> None:
        """The attempt is over: what waits is not decided, but what was said and has ended resolves."""
        for lane in run.meeting.lanes:
            while (turn := lane.next_turn(ENDLESS)) is not None:
                if turn.held is not None and turn.reason is not None and turn.held.said:
                    self._symptom(run, lane, turn, turn.held, out)
                elif turn.kind == SYMPTOM:
                    self._counts.fenced += 1

    def _symptom(self, run: Run, lane: Lane, turn: Turn, held: Held, out: list[Diagnosis]) -> None:
        if turn.made is not None:
            was_said = held.said
            cause = self._weigh(run, lane, held, turn.made, turn.time_ns, out)
            if self._watching is not None:
                outcome = _outcome(was_said, held.said, cause)
                self._watching.decided(held, turn.made, turn.time_ns, outcome)
        else:
            self._end(run, lane, held, turn.time_ns, turn.reason or "", turn.at, turn.values or {}, out)

    def _weigh(
        self, run: Run, lane: Lane, held: Held, made: Diagnosis, time_ns: int, out: list[Diagnosis]
    ) -> str | None:
        """Say a symptom unless a cause fires; gives the cause."""
        if held.said or _excused(held, made, time_ns):
            return None
        held.diagnosis, held.time_ns = made, time_ns
        cause = lane.inhibition.cause_of(held)
        if cause is None:
            self._speak(run, lane, held, made, time_ns, out)
        else:
            lane.inhibition.keep_quiet(held)
        return cause

    def _free(self, run: Run, lane: Lane, out: list[Diagnosis]) -> None:
        """One symptom at a time: it may be a cause of the next."""
        free = lane.inhibition.freed()
        if free is not None:
            held, time_ns = free
            if held.diagnosis is not None and not _excused(held, held.diagnosis, time_ns):
                made = replace(held.diagnosis, time=rfc3339(time_ns))
                self._speak(run, lane, held, made, time_ns, out)
                if self._watching is not None:
                    self._watching.decided(held, made, time_ns, (verdicts.FIRING, verdicts.FREED))

    def _speak(
        self, run: Run, lane: Lane, held: Held, made: Diagnosis, time_ns: int, out: list[Diagnosis]
    ) -> None:
        held.said, held.diagnosis = True, made
        lane.inhibition.release(held)
        if held.symptom is not None and held.symptom.held is held:
            held.symptom.diagnosis = made
        out.append(made)
        self.said(run, held.rule.id, held.key, made, time_ns, out)

    def _end(
        self, run: Run, lane: Lane, held: Held, time_ns: int, reason: str,
        at: tuple[int | None, float | None] | None, values: Mapping[str, Any], out: list[Diagnosis],
    ) -> None:  # fmt: skip
        lane.inhibition.release(held)
        if not held.said or held.diagnosis is None:
            return
        event = None if at is None else Event("", time_ns, step=at[0], epoch=at[1])
        made = transitions.resolved(held.diagnosis, time_ns, reason, event, values)
        held.said = False
        out.append(made)
        self.said(run, held.rule.id, held.key, made, time_ns, out)

    def _put(self, meeting: Meeting, held: Held, made: Diagnosis, time_ns: int) -> None:
        lane, place = self._lane_of(meeting, held.rule.id), max(time_ns, meeting.floor)
        self._late(lane.turn(place, SYMPTOM, held.rule.id, held.key, time_ns, held, made))

    def _late(self, in_time: bool) -> None:
        if not in_time:
            self._counts.late_turns += 1

    def _lane_of(self, meeting: Meeting, rule: str) -> Lane:
        return meeting.lanes[self._crossings.lane(rule)]


def _outcome(was_said: bool, said: bool, cause: str | None) -> Outcome:
    """What was decided, in a word."""
    if cause is not None:
        return verdicts.INHIBITED, cause
    if not said:
        return verdicts.EXCUSED, ""
    return (verdicts.STILL if was_said else verdicts.FIRING), ""


def _excused(held: Held, made: Diagnosis, time_ns: int) -> bool:
    return held.symptom is not None and held.symptom.excused(made, time_ns)
