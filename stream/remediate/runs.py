"""What remediation remembers of a run."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from emitter.vocabulary import events as vocabulary
from stream.remediate.checkpoints import Checkpoints
from stream.remediate.facts import Fact
from stream.remediate.incidents import Incident

REMEMBERED_DIAGNOSES: Final = 1000


@dataclass
class Run:
    """One run. ``ended`` holds the ranks of this attempt whose lifecycle ended, and how.

    ``modes``: what each rank's resource attribute asks for. ``spent``: times (ns) at which actions were
    sent, by action. ``gpus``: those that each rank computes on; ``gpus_before``: how many the last attempt
    had. ``over_ns``: when the last rank of the attempt was seen to have ended. ``gone``: no other attempt
    will follow. ``wakes_ns``: before that no tick can change anything (see stream/remediate/waking.py).
    """

    id: str
    partition: int = 0
    name: str | None = None
    attempt: int = 0
    world_size: int | None = None
    ranks: set[int | None] = field(default_factory=set)
    nodes: dict[int | None, str] = field(default_factory=dict)
    modes: dict[int | None, str] = field(default_factory=dict)
    gpus: dict[int | None, set[str]] = field(default_factory=dict)
    gpus_before: int | None = None
    ended: dict[int | None, str] = field(default_factory=dict)
    over_ns: int | None = None
    gone: bool = False
    began_ns: int | None = None
    incidents: list[Incident] = field(default_factory=list)
    cooldowns: dict[str, int] = field(default_factory=dict)
    spent: dict[str, list[int]] = field(default_factory=dict)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    last_ns: int = 0
    wakes_ns: int = 0

    @property
    def over(self) -> bool:
        """Every rank of the attempt has ended."""
        return bool(self.ended) and len(self.ended) >= (self.world_size or len(self.ranks) or 1)

    @property
    def finished(self) -> bool:
        """Every rank has ended as it should: no other attempt will follow."""
        return self.over and set(self.ended.values()) == {vocabulary.FINISHED}

    @property
    def targets(self) -> set[int | None]:
        """The ranks that must have done a command before it has succeeded; empty where unknown."""
        if self.world_size is not None and self.world_size > 1:
            return set(range(self.world_size))
        return set()

    @property
    def gpu_count(self) -> int | None:
        """How many GPUs the run has, by what its ranks say; None while some have not said it."""
        ranks = range(self.world_size) if self.world_size else self.ranks
        if not ranks or any(rank not in self.gpus for rank in ranks):
            return self.gpus_before
        return len(set().union(*(self.gpus[rank] for rank in ranks)))

    @property
    def mode(self) -> str | None:
        """The mode that the run itself asks for; None where it does not."""
        asked = [mode for mode in ("act", "approve", "shadow") if mode in self.modes.values()]
        return asked[-1] if asked else None

    def first_sight(self, diagnosis: str) -> bool:
        """Whether this diagnosis id fires for the first time; remembers it."""
        if diagnosis in self.seen:
            return False
        self.seen[diagnosis] = None
        while len(self.seen) > REMEMBERED_DIAGNOSES:
            self.seen.popitem(last=False)
        return True

    def live(self, fact: Fact, now_ns: int) -> None:
        """Take in what is known of a rank of the present attempt."""
        self.world_size = fact.world_size or self.world_size
        self.name = fact.run_name or self.name
        self.ranks.add(fact.rank)
        if fact.node:
            self.nodes[fact.rank] = fact.node
        if fact.mode:
            self.modes[fact.rank] = fact.mode
        if fact.state in vocabulary.ENDED_STATES:
            self.ended[fact.rank] = fact.state
        elif fact.state is not None:
            self.ended.pop(fact.rank, None)
            self.began_ns = fact.time if self.began_ns is None else min(self.began_ns, fact.time)
        if not self.over:
            self.over_ns, self.gone = None, False
        elif self.over_ns is None:
            self.over_ns = now_ns

    def begin_attempt(self, attempt: int) -> None:
        """Forget what belongs to an older attempt; checkpoints, cooldowns and budgets outlive it."""
        self.gpus_before = self.gpu_count
        self.attempt = attempt
        self.over_ns, self.began_ns, self.gone = None, None, False
        for known in (self.ranks, self.ended, self.nodes, self.modes, self.gpus):
            known.clear()
