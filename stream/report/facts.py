"""What a report knows of an incident and of a run. Plain data; times are Unix ns, stretches seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stream.goodput import Goodput
from stream.report.curves import Curve, Speaker
from stream.report.ruletext import RuleText


@dataclass(frozen=True)
class Entry:
    """One line of a timeline. ``what`` is one word: event, fired, decided, sent, acked, recovered, ..."""

    at: int
    what: str
    text: str
    tone: str = ""


@dataclass(frozen=True)
class LogLine:
    """One log line, cut; ``size`` is its whole length in characters."""

    at: int
    rank: int
    severity: int
    event: str
    text: str
    size: int


@dataclass(frozen=True)
class Member:
    """A diagnosis of an incident."""

    rule: str
    version: str
    category: str
    severity: str
    summary: str
    rank: int | None
    node: str | None
    step: int | None
    evidence: dict[str, Any]
    began: int
    ended: int | None


@dataclass(frozen=True)
class Action:
    """An action of an incident and what became of it. ``held``: when it began to wait for a person."""

    action: str
    rule: str
    command: str | None
    state: str
    outcome: str | None
    reason: str | None
    author: str | None
    ranks: dict[str, int] = field(default_factory=dict)
    held: int | None = None
    released: int | None = None
    issued: int | None = None
    began: int | None = None
    ended: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether every rank did it."""
        return self.outcome == "succeeded"

    @property
    def waited(self) -> float | None:
        """Seconds until a person let it go; None where it never waited, or still does."""
        if self.held is None or self.released is None:
            return None
        return (self.released - self.held) / 1e9

    @property
    def took(self) -> float | None:
        """Seconds from the command to its end."""
        if self.issued is None or self.ended is None:
            return None
        return (self.ended - self.issued) / 1e9


@dataclass(frozen=True)
class Recovery:
    """Seconds since it fired (``detect``: before that), None where that is not known."""

    detect: float | None = None
    act: float | None = None
    recover: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A finished save."""

    at: int
    step: int
    kind: str
    verified: bool


@dataclass(frozen=True)
class IncidentFacts:
    """One incident. ``event``: when the first bad value was seen; ``began``: when it fired."""

    id: str
    run: str
    run_name: str
    attempt: int
    state: str
    outcome: str | None
    began: int
    ended: int | None
    event: int
    cause: Member
    symptoms: list[Member]
    actions: list[Action]
    lost_steps: int
    lost_seconds: float
    gpu_seconds: float | None
    timeline: list[Entry]
    decided: dict[str, int]
    recovery: Recovery = field(default_factory=Recovery)
    left_out: int = 0
    verified: list[Checkpoint] = field(default_factory=list)
    saves: int = 0
    curves: list[Curve] = field(default_factory=list)
    since: int = 0
    until: int = 0
    logs: list[LogLine] = field(default_factory=list)
    rules: list[RuleText] = field(default_factory=list)


@dataclass(frozen=True)
class RuleCount:
    """How often a rule fired in a run."""

    rule: str
    severity: str
    times: int
    first: int
    last: int
    summary: str


@dataclass(frozen=True)
class Evaluation:
    """What a run's evaluations said under one name."""

    name: str
    values: int
    last: float
    last_step: int
    low: float
    high: float


@dataclass(frozen=True)
class Saves:
    """Saves of checkpoints."""

    tried: int = 0
    failed: int = 0
    verified: int = 0
    seconds: float = 0.0
    last_verified: int | None = None


@dataclass(frozen=True)
class Used:
    """Mean and highest value of a resource over a run."""

    name: str
    mean: float
    high: float


@dataclass(frozen=True)
class Hardware:
    """What a run ran on."""

    ranks: int = 0
    world_size: int = 0
    nodes: list[str] = field(default_factory=list)
    more_nodes: int = 0
    gpus: int = 0
    used: list[Used] = field(default_factory=list)


@dataclass(frozen=True)
class RunFacts:
    """One run. ``speaker``: the rank whose numbers are shown, None where there are no steps."""

    id: str
    name: str
    state: str
    attempt: int
    started: int
    last_time: int
    last_step: int
    speaker: Speaker | None
    incidents: list[IncidentFacts]
    more_incidents: int
    rules_fired: list[RuleCount]
    curves: list[Curve]
    evaluations: list[Evaluation]
    saves: Saves
    hardware: Hardware
    logs: list[LogLine]
    log_counts: dict[str, int]
    telemetry_lost: int
    rules: list[RuleText]
    goodput: Goodput | None = None

    @property
    def seconds(self) -> float:
        """From the first sign to the newest."""
        return (self.last_time - self.started) / 1e9

    def curve(self, name: str) -> Curve | None:
        """The curve of this name."""
        return next((one for one in self.curves if one.name == name), None)
