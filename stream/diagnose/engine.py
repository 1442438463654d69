"""The engine: messages of one ``train.events`` partition in, transitions of diagnoses out.

A pure function of the order of messages: no clock but the ticks, no randomness, no I/O. Dispatch is by
event name, so a rule costs nothing on events it does not look at. docs/rules.md has the semantics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from emitter.vocabulary import events as words
from emitter.vocabulary.cloudevents import parse_rfc3339
from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose import transitions
from stream.diagnose.clock import NOWHERE, Clock, Reading
from stream.diagnose.collecting import uncollected
from stream.diagnose.counts import Counts
from stream.diagnose.crossing import MAX_WAITING, Crossing
from stream.diagnose.judging import Judge
from stream.diagnose.listening import Listening
from stream.diagnose.meeting import Meeting
from stream.diagnose.ordering import DUPLICATE, alike
from stream.diagnose.rest import Rest
from stream.diagnose.restoring import Restorer
from stream.diagnose.runs import Emitter, Run, emitter_key
from stream.diagnose.snapshot import decode, encode
from stream.diagnose.stretches import SHORTEST
from stream.diagnose.verdicts import Watch
from stream.diagnose.watching import Watching
from stream.diagnose.watermark import NEVER
from stream.events import Batch, Event, Resource, Tick
from stream.rulelang.model import RuleSet

GRACE_S: Final = 5.0
LATENESS_S: Final = 5.0
IDLE_S: Final = 6 * 3600.0
ENDED_S: Final = 600.0
"""What its emitters still had under way when they ended has come by then."""
MAX_SERIES: Final = 65_536
_EXPIRE_EVERY_NS: Final = 60_000_000_000


class Engine:
    """State of one partition.

    ``grace_s``: how long a gap in ``train.seq`` is held; ``idle_s``: after how long without an event a
    run is forgotten, ``ended_s``: one whose emitters have all ended (all by the ticks' clock);
    ``lateness_s``: how far apart (event time) the records of a run's emitters may come; ``max_series``: the
    most series and emitters of one run; ``max_waiting``: the most events and decisions of one run that wait
    for other ranks; ``experimental``: also run rules of that maturity; ``watch`` is told of every judgement.

    Memory: of a run at most ``max_series`` series and as many emitters; of a series its windows (each at
    most twice its ``last`` values, or 20,000 for ``over``), of a rule of absence 50 gaps and 16 starts a
    rank, of an emitter 4,096 events behind a gap and 256 routes.
    """

    def __init__(
        self,
        rules: RuleSet,
        *,
        grace_s: float = GRACE_S,
        lateness_s: float = LATENESS_S,
        idle_s: float = IDLE_S,
        ended_s: float = ENDED_S,
        max_series: int = MAX_SERIES,
        max_waiting: int = MAX_WAITING,
        experimental: bool = False,
        watch: Watch | None = None,
    ) -> None:
        self.counts = Counts()
        self.clock = Clock()
        self._reading: Reading = NOWHERE
        self._experimental = experimental
        self._watching = None if watch is None else Watching(watch)
        self._max_series = max_series
        self._max_waiting = max_waiting
        self._lateness_ns = int(lateness_s * 1e9)
        self._runs: dict[str, Run] = {}
        self._pending: list[Diagnosis] = []
        self._take_up(rules)
        self._grace_ns = int(grace_s * 1e9)
        self._idle_ns, self._ended_ns = int(idle_s * 1e9), int(ended_s * 1e9)
        self._expired_at: int | None = None

    def _take_up(self, rules: RuleSet) -> None:
        """Make these rules ready."""
        active = [rule for rule in rules.rules if self._experimental or rule.maturity == "stable"]
        self._versions = {rule.id: rule.version for rule in active}
        self._judge = Judge(active, self.counts, self._max_series, self._watching)
        self._listening = Listening(active, self.clock, self._judge.publisher, self._watching)
        self._crossing = Crossing(self._judge.crossings, self._judge, self.counts, self._max_waiting)

    @classmethod
    def restore(cls, rules: RuleSet, snapshot: bytes, **settings: Any) -> Engine:
        """The engine of a snapshot, going on under these rules; settings as for a new one.

        What rules said that are gone or changed resolves with the next message. Raises SnapshotError.
        """
        engine = cls(rules, **settings)
        state = decode(snapshot)
        engine._load(state)
        return engine

    def snapshot(self, *, runs: bool = True) -> bytes:
        """The whole state; ``restore`` goes on from there as this engine would.

        Without ``runs`` they are left to ``snapshot_run``, which need not be taken at the same message.
        """
        return encode(
            {
                "rules": self._versions,
                "clock": self.clock.save(),
                "counts": asdict(self.counts),
                "expired_at": self._expired_at,
                "serial": self._listening.serial,
                "pending": [asdict(made) for made in self._pending],
                "runs": [run.save() for run in self._runs.values()] if runs else [],
            }
        )

    def snapshot_run(self, run_id: str) -> bytes | None:
        """The state of one run alone, None where there is no such run."""
        run = self._runs.get(run_id)
        if run is None:
            return None
        with uncollected():
            return encode({"rules": self._versions, "runs": [run.save()]})

    def adopt(self, snapshot: bytes) -> list[Diagnosis]:
        """Take in the run of ``snapshot_run``: it goes on from its own message. Raises SnapshotError.

        Gives the resolutions of what rules had said that are gone or changed.
        """
        before = len(self._pending)
        with uncollected():
            self._load_runs(decode(snapshot))
        self._pending, made = self._pending[:before], self._pending[before:]
        return made

    def say(self, made: Sequence[Diagnosis]) -> None:
        """Put these before what the next message brings about."""
        self._pending += made

    def replace(self, rules: RuleSet) -> list[Diagnosis]:
        """Go on under other rules: those that did not change keep their state, the others begin afresh.

        Gives the resolutions of what gone or changed rules had said.
        """
        state = decode(self.snapshot())
        self._take_up(rules)
        self._load(state)
        return self._handed_over()

    def _load(self, state: Mapping[str, Any]) -> None:
        self.clock.load(state["clock"])
        self.counts.load(state["counts"])
        self._expired_at = state["expired_at"]
        self._listening.serial = state["serial"]
        self._pending = [Diagnosis(**made) for made in state["pending"]]
        self._runs = {}
        self._load_runs(state)

    def _load_runs(self, state: Mapping[str, Any]) -> None:
        restorer = Restorer(self._judge.plans, self._listening, self._meeting, state["rules"], self._retire)
        for saved in state["runs"]:
            self._runs[saved["id"]] = restorer.run(saved)

    def _retire(self, run: Run, made: Diagnosis) -> None:
        now = parse_rfc3339(made.time) if self.clock.now is None else self.clock.now
        self._judge.publisher.retire(run, made, now, self._pending)

    def _handed_over(self) -> list[Diagnosis]:
        """What was said between two messages."""
        pending, self._pending = self._pending, []
        return pending

    @property
    def runs(self) -> Mapping[str, Run]:
        """The runs remembered now."""
        return self._runs

    def process(self, message: Batch | Tick) -> list[Diagnosis]:
        """The transitions that this message brings about, in order."""
        out = self._handed_over()
        if isinstance(message, Tick):
            self._tick(message, out)
        elif message.run:
            self._batch(message, out)
        else:
            self.counts.without_run += len(message.events)
        return out

    def drain(self) -> list[Diagnosis]:
        """The recorded data ended: everything that was held back for its turn is judged now."""
        out = self._handed_over()
        for run in self._runs.values():
            for emitter in list(run.holding.values()):
                lost = emitter.order.lost
                for ready in emitter.order.drain():
                    self._take(run, emitter, ready, out)
                self._account(run, emitter, emitter.order.lost - lost)
            self._crossing.drain(run, out)
        return out

    def _batch(self, batch: Batch, out: list[Diagnosis]) -> None:
        run = self._runs.get(batch.run)
        if run is None:
            attempt = min((resource.attempt for resource in batch.resources), default=0)
            run = self._runs[batch.run] = Run(batch.run, attempt, self._meeting)
        place = (batch.source.topic, batch.source.partition)
        if batch.source.first <= run.positions.get(place, -1):
            self.counts.repeated_batches += 1
            return
        run.positions[place] = batch.source.last
        run.seen = self.clock.now
        self._reading = self.clock.reading(*place)
        known: dict[int, Emitter | None] = {}
        self.counts.events += len(batch.events)
        self._judge.look_ahead(batch.events)
        events, begin = batch.events, 0
        while begin < len(events):
            event = events[begin]
            emitter = known.get(event.resource)
            if emitter is None or not emitter.live:
                emitter = known[event.resource] = self._emitter(
                    run, batch.resources[event.resource], event, out
                )
            if emitter is None:
                begin += 1
                continue
            end = alike(events, begin, emitter.order)
            some, begin = events[begin : max(end, begin + 1)], max(end, begin + 1)
            if len(some) < SHORTEST or not self._stretch(run, emitter, some, out):
                for one in some:
                    self._event(run, emitter, one, out)

    def _emitter(self, run: Run, resource: Resource, event: Event, out: list[Diagnosis]) -> Emitter | None:
        """The live emitter behind an event; None where the event came too late to count."""
        if resource.attempt < run.attempt:
            self.counts.old_attempts += 1
            return None
        if resource.attempt > run.attempt:
            self._end_attempt(run, event.time, transitions.ENDED, out)
            run.begin(resource.attempt)
        key = emitter_key(resource)
        emitter = run.emitters.get(key)
        if emitter is None or (not emitter.live and _starts_again(resource, event)):
            if len(run.emitters) >= self._max_series:
                self.counts.emitters_refused += 1
                return None
            emitter = run.emitters[key] = Emitter(key, resource)
        elif not emitter.live:
            self.counts.after_end += 1
            return None
        emitter.resource = resource
        return emitter

    def _stretch(self, run: Run, emitter: Emitter, events: Sequence[Event], out: list[Diagnosis]) -> bool:
        """Judge events in order that look alike; False, and nothing done, where it has to be one by one."""
        if self._crossing.needed and not run.meeting.settled(emitter.key):
            return False
        rest = Rest(run, emitter, self._crossing, self._listening, self._reading, out)
        if not self._judge.stretch(run, emitter, events, out, rest):
            return False
        if events[0].seq is not None:
            emitter.order.expected += len(events)
        return True

    def _event(self, run: Run, emitter: Emitter, event: Event, out: list[Diagnosis]) -> None:
        seq, order = event.seq, emitter.order
        if seq is None:
            self._take(run, emitter, event, out)
            return
        if seq == order.expected and not order.held:
            order.expected += 1
            self._take(run, emitter, event, out)
            return
        reason = order.refused(seq)
        if reason is not None:
            self._refuse(reason, emitter, event)
            return
        lost = order.lost
        for ready in order.take(event, seq, self.clock.now):
            self._take(run, emitter, ready, out)
        self._account(run, emitter, order.lost - lost)

    def _take(self, run: Run, emitter: Emitter, event: Event, out: list[Diagnosis]) -> None:
        """Judge one event that is in order."""
        if not emitter.live:
            self.counts.after_end += 1
            return
        crossing = self._crossing
        if crossing.needed and run.meeting.only != emitter.key:
            crossing.hear(run, emitter, event, self._reading, out)
        self._judge.event(run, emitter, event, out)
        if event.name in self._listening.names:
            self._listening.hear(run, emitter, event, out)
        if event.name == words.LIFECYCLE and event.values.get(words.LIFECYCLE_STATE) in words.ENDED_STATES:
            emitter.live = False
            emitter.routes.clear()
            run.holding.pop(emitter.key, None)
            self._judge.end_emitter(run, emitter, event.time, out)
            self._listening.end_emitter(run, emitter, event.time, out)
            crossing.end_emitter(run, emitter, out)
        if crossing.needed:
            crossing.heard(run, out)

    def _end_attempt(self, run: Run, time_ns: int, reason: str, out: list[Diagnosis]) -> None:
        """Resolve everything open; what its emitters still say counts no more."""
        for emitter in run.emitters.values():
            emitter.live = False
        self._crossing.fence(run, out)
        self._judge.end_attempt(run, time_ns, reason, out)
        self._listening.end_attempt(run, time_ns, reason, out)

    def _meeting(self) -> Meeting:
        return Meeting(self._judge.crossings, self._lateness_ns)

    def _refuse(self, reason: str, emitter: Emitter, event: Event) -> None:
        if reason == DUPLICATE:
            self.counts.duplicates += 1
        else:
            self.counts.late += 1
            self._judge.late(self._judge.plans.on.get(event.name, ()), emitter, event)

    def _account(self, run: Run, emitter: Emitter, lost: int) -> None:
        self.counts.lost += lost
        if emitter.order.held:
            run.holding[emitter.key] = emitter
        else:
            run.holding.pop(emitter.key, None)

    def _tick(self, tick: Tick, out: list[Diagnosis]) -> None:
        if not self.clock.advance(tick) or self.clock.now is None:
            return
        now, self._reading = self.clock.now, self.clock.reading()
        for run in list(self._runs.values()):
            if run.seen is None:
                run.seen = now
            for emitter in list(run.holding.values()):
                self._release(run, emitter, now, out)
            run.meeting.floor = NEVER
        self._listening.tick(out)
        for run in list(self._runs.values()):
            self._crossing.tick(run, self.clock, now, out)
        if self._expired_at is None or now - self._expired_at >= _EXPIRE_EVERY_NS:
            self._expired_at = now
            self._expire(now, out)

    def _release(self, run: Run, emitter: Emitter, now: int, out: list[Diagnosis]) -> None:
        lost = emitter.order.lost
        for ready in emitter.order.release(now, self._grace_ns):
            self._take(run, emitter, ready, out)
        self._account(run, emitter, emitter.order.lost - lost)

    def _expire(self, now: int, out: list[Diagnosis]) -> None:
        for run in list(self._runs.values()):
            ended = not any(emitter.live for emitter in run.emitters.values())
            if run.seen is None or run.seen >= now - (self._ended_ns if ended else self._idle_ns):
                continue
            self._crossing.expire(run, now, out)
            self._end_attempt(run, now, transitions.ENDED if ended else transitions.EXPIRED, out)
            self.counts.runs_expired += 1
            del self._runs[run.id]


def _starts_again(resource: Resource, event: Event) -> bool:
    """A source without an emitter id cannot be told from its earlier self but by saying that it starts."""
    state = event.values.get(words.LIFECYCLE_STATE)
    return resource.emitter is None and event.name == words.LIFECYCLE and state == words.STARTED
