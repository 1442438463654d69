"""What a rule is once it was read and checked: frozen, and compiled where it computes."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from stream.rulelang.summary import Template


@dataclass(frozen=True)
class Action:
    """One step of ``then``. ``if_unresolved_s``: only when the diagnosis still fires that long after."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    if_unresolved_s: float | None = None


@dataclass(frozen=True)
class Slot:
    """One thing an expression reads from an event.

    ``place``: ``value`` (of the event's values), ``event``, ``resource`` or ``group`` (of a match).
    ``kind``: ``number``, ``text`` or ``has`` (whether it is there). A record without a slot that is not
    ``optional`` is no sample.
    """

    place: str
    name: str
    kind: str
    optional: bool = False


@dataclass(frozen=True)
class WindowSpec:
    """One window: what is pushed (of slots and the windows before it), how long, and what is asked of it.

    ``event`` None: a sample of the rule feeds it. Otherwise (``with``) each event of that name of the same
    series does, read by ``slots``; one that lacks any of them is skipped. ``slot``: the place of the one slot
    that only has to be kept as it is, None where more is to be done.
    """

    source: Callable[[Sequence[Any], Sequence[Any]], float]
    needs: frozenset[str]
    last: int | None = None
    over_s: float | None = None
    event: str | None = None
    slots: tuple[Slot, ...] = ()
    slot: int | None = None


@dataclass(frozen=True)
class PeerSpec:
    """What one rank is compared with: a value of each other rank of its ``of`` (run, role or node)."""

    source: Callable[[Sequence[Any], Sequence[Any]], float]
    of: str = "role"


@dataclass(frozen=True)
class Trees:
    """The checked expressions a program was compiled of.

    ``sources``: by the place of a window that the rule's own samples feed, what it is fed with.
    """

    where: ast.expr | None
    when: ast.expr
    lets: tuple[tuple[str, ast.expr], ...]
    sources: Mapping[int, ast.expr]


@dataclass(frozen=True)
class Program:
    """The compiled part of a rule: functions of what the slots read, of the windows and of the peers.

    ``values`` gives the ``let`` values, named by ``names``; ``clear`` is ``clear_when``; ``shown`` maps the
    fields that belong into the evidence to their slots. ``sources`` gives what a sample of the rule brings
    to the windows that its own samples feed: one value for all windows with the same ``source``;
    ``computed`` only those for windows without a ``slot``. ``trees``: what all this was compiled of.
    """

    slots: tuple[Slot, ...]
    windows: tuple[WindowSpec, ...]
    names: tuple[str, ...]
    where: Callable[[Sequence[Any]], bool] | None
    when: Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], bool]
    values: Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], tuple[Any, ...]]
    clear: Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], bool] | None
    shown: Mapping[str, int] = field(default_factory=dict)
    peers: tuple[PeerSpec, ...] = ()
    sources: Callable[[Sequence[Any], Sequence[Any]], tuple[float, ...]] = lambda slots, windows: ()
    computed: Callable[[Sequence[Any], Sequence[Any]], tuple[float, ...]] = lambda slots, windows: ()
    trees: Trees | None = None


@dataclass(frozen=True)
class LogMatch:
    """Regular expressions (RE2) of a log rule: any of ``match`` and none of ``unless``."""

    match: tuple[str, ...]
    unless: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Absent:
    """Fires when ``of`` was not heard for ``for_s`` seconds.

    ``after``: the clock starts with each event of this name (else with each ``of``). ``times``: the limit is
    also at least so many times the longest recent gap between two ``of``. ``phases``: only time spent in
    these phases counts (empty: all time).
    """

    of: str
    for_s: float
    after: str | None = None
    times: float = 0.0
    phases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """One transition a sample expects: by step, by line (from 1) or by seconds since its start; of a rank."""

    step: int | None = None
    line: int | None = None
    at_s: float | None = None
    rank: int | None = None

    def __str__(self) -> str:
        at = None if self.at_s is None else f"{self.at_s:g}s"
        parts = (("step", self.step), ("line", self.line), ("", at), ("of rank", self.rank))
        return " ".join(f"{name} {value}".strip() for name, value in parts if value is not None)


Sequenced: TypeAlias = "str | Sequence[float | str | None]"
"""One field over a sample: a value for each step, None where there is none; a bare text holds throughout."""


@dataclass(frozen=True)
class SampleRank:
    """What one rank sends in a sample: log lines, and series by event and slot (place and name)."""

    rank: int
    lines: tuple[str, ...] = ()
    series: Mapping[str, Mapping[tuple[str, str], Sequenced]] = field(default_factory=dict)
    node: str | None = None
    role: str | None = None


@dataclass(frozen=True)
class SampleEvent:
    """One event of a sample at its own time; ``values`` by slot (place and name)."""

    at_s: float
    event: str
    rank: int = 0
    attempt: int = 0
    step: int | None = None
    node: str | None = None
    role: str | None = None
    values: Mapping[tuple[str, str], float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """A test that travels with its rule. ``resolved`` None: resolutions are not compared.

    Steps and lines are ``every_s`` apart; the clock goes on to ``until_s`` where that is later.
    """

    name: str
    line: int
    column: int
    ranks: tuple[SampleRank, ...]
    events: tuple[SampleEvent, ...]
    every_s: float
    until_s: float
    expect: tuple[Expected, ...]
    resolved: tuple[Expected, ...] | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The log lines of all its ranks."""
        return tuple(line for rank in self.ranks for line in rank.lines)


@dataclass(frozen=True)
class Rule:
    """One rule. ``version`` is the hash of its content without samples; durations are in seconds.

    ``keys`` read what ``by`` names besides the run. ``same``: causes count only where these agree.
    ``learn_all``: every sample enters the windows, not only those that neither match nor come while it fires.
    """

    id: str
    pack: str
    file: str
    line: int
    column: int
    category: str
    severity: str
    summary: Template
    version: str
    on: str
    by: tuple[str, ...] = ("run", "role", "rank")
    keys: tuple[Slot, ...] = ()
    same: tuple[str, ...] = ()
    learn_all: bool = True
    program: Program | None = field(default=None, compare=False, repr=False)
    log: LogMatch | None = None
    absent: Absent | None = None
    for_count: int = 1
    for_s: float = 0.0
    keep_firing_s: float = 0.0
    cooldown_s: float = 0.0
    settle_s: float = 0.0
    mode: str | None = None
    maturity: str = "stable"
    inhibited_by: tuple[str, ...] = ()
    then: tuple[Action, ...] = ()
    runbook: str | None = None
    suggestions: tuple[str, ...] = ()
    params: Mapping[str, float] = field(default_factory=dict)
    tests: tuple[Sample, ...] = ()

    @property
    def excusable(self) -> bool:
        """Whether what other ranks do may excuse what this rule sees on one."""
        return self.absent is not None and bool(self.absent.phases)


@dataclass(frozen=True)
class Pack:
    """The rules of one name, from one file or several. ``digest``: the hash of all their text and pages."""

    name: str
    files: tuple[str, ...]
    rules: tuple[Rule, ...]
    digest: str = ""

    @property
    def file(self) -> str:
        """The first of its files."""
        return self.files[0]


@dataclass(frozen=True)
class RuleSet:
    """All rules in force, causes before the symptoms they inhibit, else in the order of the files.

    ``settings`` says which params were set from outside the files.
    """

    packs: tuple[Pack, ...]
    rules: tuple[Rule, ...]
    settings: str = ""

    @cached_property
    def digest(self) -> str:
        """The hash of everything that the rules were made of: the same texts and settings, the same hash."""
        parts = [f"{pack.name}={pack.digest}" for pack in sorted(self.packs, key=lambda pack: pack.name)]
        return hashlib.blake2b("\n".join([*parts, self.settings]).encode(), digest_size=16).hexdigest()

    @cached_property
    def _by_id(self) -> Mapping[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    def by_id(self, rule_id: str) -> Rule | None:
        """The rule of this id, or None."""
        return self._by_id.get(rule_id)

    def only(self, rule_ids: frozenset[str]) -> RuleSet:
        """The same set with these rules alone."""
        return replace(self, rules=tuple(rule for rule in self.rules if rule.id in rule_ids))
