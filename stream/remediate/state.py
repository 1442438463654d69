"""What remediation remembers of the runs of one partition."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from emitter.vocabulary import events as vocabulary
from stream.events import Event, Resource, Source
from stream.remediate.checkpoints import Checkpoints
from stream.remediate.clock import Clock
from stream.remediate.incidents import Incident

REMEMBERED_DIAGNOSES: Final = 1000
FORGET_ENDED_S: Final = 3600.0
FORGET_SILENT_S: Final = 48 * 3600.0


@dataclass
class Run:
    """One run. ``ended`` holds the ranks of this attempt whose lifecycle ended."""

    id: str
    attempt: int = 0
    world_size: int | None = None
    ranks: set[int | None] = field(default_factory=set)
    ended: set[int | None] = field(default_factory=set)
    incident: Incident | None = None
    cooldowns: dict[str, int] = field(default_factory=dict)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    last_ns: int = 0

    @property
    def over(self) -> bool:
        """Every rank of the attempt has ended."""
        return bool(self.ended) and len(self.ended) >= (self.world_size or len(self.ranks) or 1)

    @property
    def targets(self) -> set[int | None]:
        """The ranks that must have done a command before it has succeeded; empty where unknown."""
        if self.world_size is not None and self.world_size > 1:
            return set(range(self.world_size))
        return set()

    def first_sight(self, diagnosis: str) -> bool:
        """Whether this diagnosis id fires for the first time; remembers it."""
        if diagnosis in self.seen:
            return False
        self.seen[diagnosis] = None
        while len(self.seen) > REMEMBERED_DIAGNOSES:
            self.seen.popitem(last=False)
        return True

    def first_reading(self, source: Source) -> bool:
        """Whether a batch from here is new; ingest repeats batches after a crash."""
        place = (source.topic, source.partition)
        if source.last <= self.offsets.get(place, -1):
            return False
        self.offsets[place] = source.last
        return True

    def live(self, event: Event, sender: Resource) -> None:
        """Take in a lifecycle event of the present attempt."""
        self.world_size = sender.world_size or self.world_size
        self.ranks.add(sender.rank)
        if event.values.get(vocabulary.LIFECYCLE_STATE) in vocabulary.ENDED_STATES:
            self.ended.add(sender.rank)
        else:
            self.ended.discard(sender.rank)

    def begin_attempt(self, attempt: int) -> None:
        """Forget what belongs to an older attempt; checkpoints and cooldowns outlive it."""
        self.attempt = attempt
        self.ranks.clear()
        self.ended.clear()


@dataclass
class State:
    """The runs of one partition and their clock."""

    clock: Clock = field(default_factory=Clock)
    runs: dict[str, Run] = field(default_factory=dict)

    def run(self, run_id: str) -> Run:
        """The run of this id, made when it is new."""
        run = self.runs.get(run_id)
        if run is None:
            run = self.runs[run_id] = Run(run_id, last_ns=self.clock.now_ns or 0)
        run.last_ns = max(run.last_ns, self.clock.now_ns or 0)
        return run

    def forget_old(self) -> None:
        """Drop runs that ended or fell silent long ago, so that memory stays bounded."""
        now = self.clock.now_ns or 0
        for run in list(self.runs.values()):
            limit_s = FORGET_ENDED_S if run.over else FORGET_SILENT_S
            if run.incident is None and now - run.last_ns > limit_s * 1e9:
                del self.runs[run.id]
