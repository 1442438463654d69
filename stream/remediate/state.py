"""What the arbiter remembers: everything in it follows from the log of remediation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from stream.placements import Placed
from stream.progress import Place, Progress
from stream.records import Incoming
from stream.remediate.incidents import Incident
from stream.remediate.reports import Source
from stream.remediate.runs import Run
from stream.remediate.settings import MODES, RunMode, Settings, Silence
from stream.remediate.steps import Step, StepState

FORGET_ENDED_S: Final = 3600.0
FORGET_SILENT_S: Final = 48 * 3600.0
REMEMBERED_WORDS: Final = 10_000


@dataclass(frozen=True)
class Tripped:
    """The circuit breaker is open since then; ``command`` is the one that was not sent any more."""

    time_ns: int
    command: str
    reason: str


@dataclass
class State:
    """``acted``: when a run was last acted on, by run. ``words``: what people said that was taken in.

    ``modes``: those that people set for runs, by the pattern of the run.
    ``hosts``: which runs are where. ``offsets``: how far the facts of a run were read, by their sources.
    """

    settings: Settings = field(default_factory=Settings)
    runs: dict[str, Run] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    acted: dict[str, int] = field(default_factory=dict)
    tripped: Tripped | None = None
    silences: dict[str, Silence] = field(default_factory=dict)
    modes: dict[str, RunMode] = field(default_factory=dict)
    words: OrderedDict[str, None] = field(default_factory=OrderedDict)
    hosts: dict[str, dict[str, Placed]] = field(default_factory=dict)
    offsets: dict[tuple[str, str, int], int] = field(default_factory=dict)
    _progress: dict[tuple[str, int], Progress] = field(default_factory=dict)

    def new(self, source: Source | None) -> bool:
        """Whether a report of this record is the first one: a worker that took over repeats some."""
        if source is None:
            return True
        progress = self._progress.setdefault((source.topic, source.partition), Progress())
        record = Incoming(
            source.topic, source.partition, source.offset, b"", timestamp_ms=source.timestamp_ms
        )
        return progress.place(record) is not Place.REPEATED

    def first_reading(self, run: str, batch: tuple[str, int, int] | None) -> bool:
        """Whether a batch of events is new; ingest repeats batches after a crash."""
        if batch is None:
            return True
        topic, partition, last = batch
        if last <= self.offsets.get((run, topic, partition), -1):
            return False
        self.offsets[run, topic, partition] = last
        return True

    def run(self, run_id: str, partition: int) -> Run:
        """The run of this id, made when it is new."""
        run = self.runs.get(run_id)
        if run is None:
            run = self.runs[run_id] = Run(run_id)
        run.partition = partition
        run.last_ns = max(run.last_ns, self.now(run))
        return run

    def now(self, run: Run) -> int:
        """The clock of the run's partition; 0 before it was told."""
        return self.clocks.get(run.partition, 0)

    def find(self, command: str) -> tuple[Run, Incident, Step] | None:
        """The step of this command, in whatever run it is."""
        for run in self.runs.values():
            for incident in run.incidents:
                step = incident.find(command)
                if step is not None:
                    return run, incident, step
        return None

    def silence_of(self, run: Run, rule: str, time_ns: int) -> Silence | None:
        """The silence that covers this rule in this run now."""
        known = (*self.settings.silences, *self.silences.values())
        return next((one for one in known if one.covers(run.id, run.name, rule, time_ns)), None)

    def mode_of(self, run: Run, of_rule: str | None, time_ns: int) -> str:
        """The strictest mode that anything sets: the policy, the rule, the run itself, people's words."""
        said = [one.mode for one in self.modes.values() if one.covers(run.id, run.name, time_ns)]
        return self.settings.mode_of(
            run.id, run.name, of_rule, run.mode, max(said, key=MODES.index, default=None)
        )

    def heard(self, word: str) -> bool:
        """Whether this word was taken in before; remembers it."""
        if word in self.words:
            return True
        self.words[word] = None
        while len(self.words) > REMEMBERED_WORDS:
            self.words.popitem(last=False)
        return False

    def busy(self, partition: int) -> Iterator[Run]:
        """The runs of a partition to which time may matter."""
        return (
            run
            for run in list(self.runs.values())
            if run.partition == partition and (run.incidents or (run.over_ns is not None and not run.gone))
        )

    def forget_old(self, partition: int) -> list[Run]:
        """Drop the runs of a partition that ended or fell silent long ago; which these are."""
        now, gone = self.clocks.get(partition, 0), []
        for run in list(self.runs.values()):
            limit_s = FORGET_ENDED_S if run.over else FORGET_SILENT_S
            if run.partition == partition and not run.last_ns:
                run.last_ns = now  # it was heard of before the clock was
            if run.partition == partition and not run.incidents and now - run.last_ns > limit_s * 1e9:
                gone.append(self.runs.pop(run.id))
        if gone:
            names = {run.id for run in gone}
            self.offsets = {place: last for place, last in self.offsets.items() if place[0] not in names}
            # What the breaker still counts stays, also of runs that are forgotten.
            since = now - 2 * int(self.settings.breaker.within_s * 1e9)
            self.acted = {run: at for run, at in self.acted.items() if run in self.runs or at > since}
        return gone

    def silent(self, run: Run) -> bool:
        """Whether nothing was heard of a run for so long that it is over, whatever is open."""
        return bool(run.last_ns) and self.now(run) - run.last_ns > FORGET_SILENT_S * 1e9


def destructive_under_way(run: Run, incident: Incident, names: frozenset[str]) -> bool:
    """Whether another incident of the run has sent something that tears the run down."""
    return any(
        step.state is StepState.SENT and step.name in names
        for other in run.incidents
        if other is not incident
        for step in other.steps
    )
