"""The answer: why a rule did or did not fire, over a run or at one step, for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

from emitter.vocabulary.cloudevents import finite, rfc3339
from stream.diagnose import verdicts
from stream.diagnose.verdicts import Verdict
from stream.explain.watching import Watcher
from stream.offline.asleep import Asleep
from stream.rulelang.conjuncts import Part, parts
from stream.rulelang.errors import guess
from stream.rulelang.model import Rule

HELD_BACK: Final = "it is in shadow mode: it is diagnosed, and nothing is done"


@dataclass(frozen=True)
class Moment:
    """What became of the rule at one event. ``why`` is a sentence."""

    rank: int | None
    step: int | None
    time: str | None
    outcome: str
    why: str
    conditions: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    windows: list[dict[str, Any]] = field(default_factory=list)
    matches: int = 0
    needed: int = 1


@dataclass(frozen=True)
class Answer:
    """The whole answer. ``step`` is what was asked for; ``moments`` are those of that step."""

    run: str
    rule: str
    step: int | None
    summary: str
    outcomes: dict[str, int]
    missing: dict[str, int]
    failed: dict[str, int]
    inhibited_by: dict[str, int]
    not_full: int
    firings: list[dict[str, Any]]
    nearest: Moment | None
    moments: list[Moment]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain data; numbers that are not finite are strings."""
        data: dict[str, Any] = finite(asdict(self))
        return data


class Explaining:
    """Puts verdicts into words. ``logged``: the names that came with each event; ``timed``: with times."""

    def __init__(
        self, rule: Rule, watcher: Watcher, logged: Mapping[str, Iterable[str]], timed: bool
    ) -> None:
        self._rule = rule
        self._watcher = watcher
        self._logged = logged
        self._timed = timed

    def moment(self, verdict: Verdict) -> Moment:
        """One verdict in words."""
        found = self._watcher.parts(verdict)
        event, resource = verdict.event, verdict.resource
        return Moment(
            rank=resource.rank if resource else None,
            step=event.step if event else None,
            time=rfc3339(verdict.time) if self._timed else None,
            outcome=verdict.outcome,
            why=self._why(verdict, found),
            conditions=[_condition(part) for part in found],
            values=dict(self._named(verdict)),
            windows=[asdict(fill) for fill in verdict.windows],
            matches=verdict.matches,
            needed=self._rule.for_count,
        )

    def _named(self, verdict: Verdict) -> Mapping[str, Any]:
        return {name: value for name, value in verdict.values.items() if not name.startswith("probe_")}

    def _why(self, verdict: Verdict, found: list[Part]) -> str:
        """The sentence for one outcome."""
        told = {
            verdicts.MISSING: self._missing,
            verdicts.WHERE: self._where,
            verdicts.NO_MATCH: lambda one: self._no_match(one, found),
            verdicts.PENDING: self._pending,
        }.get(verdict.outcome)
        if told is not None:
            return told(verdict)
        if verdict.outcome == verdicts.FIRING and verdict.detail == verdicts.FREED:
            return "it fires here: what kept it quiet has ended"
        return _PLAIN.get(verdict.outcome, verdict.outcome).format(detail=verdict.detail or "another rule")

    def _missing(self, verdict: Verdict) -> str:
        name = verdict.detail
        near = guess(name, self._logged.get(self._rule.on, ())).removeprefix("; ")
        return f"no sample: the record lacks `{name}`{f' ({near})' if near else ''}"

    def _where(self, verdict: Verdict) -> str:
        text = self._watcher.where or ""
        failed = (
            [one for one in parts(text, self._watcher.known(verdict)) if one.holds is not True]
            if text
            else []
        )
        shown = "; ".join(one.shown for one in failed)
        return f"no sample: `where` does not hold{f': {shown}' if shown else ''}"

    def _no_match(self, verdict: Verdict, found: list[Part]) -> str:
        empty = [fill for fill in verdict.windows if fill.count == 0]
        short = [fill for fill in verdict.windows if fill.last is not None and fill.count < fill.last]
        failed = "; ".join(part.shown for part in found if part.holds is not True)
        why = f"the condition does not hold: {failed}" if failed else "the condition does not hold"
        if empty:
            return f"{why}; a window is still empty"
        fills = ", ".join(f"{fill.count} of {fill.last}" for fill in short)
        return f"{why}; windows not full: {fills}" if short else why

    def _pending(self, verdict: Verdict) -> str:
        rule = self._rule
        if rule.for_s:
            return f"it matches, for {verdict.for_s:g} of {rule.for_s:g} s"
        return f"it matches, {verdict.matches} of {rule.for_count} samples in a row"

    def notes(self, sleeper: Asleep | None, left_out: str, active: bool) -> list[str]:
        """What is true of the rule at every step."""
        rule = self._rule
        found = []
        if not active:
            found.append("the rule is experimental, which is off by default; --experimental runs it")
        if left_out:
            found.append(left_out)
        if sleeper is not None and active:
            found.append(self._asleep(sleeper))
        if rule.mode == "shadow":
            found.append(HELD_BACK)
        if rule.cooldown_s and self._timed:
            found += self._cooldowns()
        return found

    def _asleep(self, one: Asleep) -> str:
        if not one.fields:
            return f"asleep: no {one.event} came"
        near = [guess(name, self._logged.get(one.event, ())).removeprefix("; ") for name in one.fields]
        named = ", ".join(
            f"`{name}`{f' ({hint})' if hint else ''}" for name, hint in zip(one.fields, near, strict=True)
        )
        return f"asleep: no {one.event} carried {named}"

    def _cooldowns(self) -> list[str]:
        """Firings whose actions wait because the rule fired shortly before."""
        cooldown_ns = int(self._rule.cooldown_s * 1e9)
        firings = self._watcher.tally.firings
        quiet = [
            second for first, second in pairwise(firings)
            if second.time - first.time < cooldown_ns
        ]  # fmt: skip
        if not quiet:
            return []
        steps = ", ".join(str(one.event.step if one.event else "?") for one in quiet[:5])
        return [
            f"cooldown: {len(quiet)} firings within {self._rule.cooldown_s:g} s of the one before "
            f"(step {steps}): diagnosed, their actions wait"
        ]


_PLAIN: Final = {
    verdicts.UNMATCHED: "no sample: the line matches no pattern of the rule, or one of `unless`",
    verdicts.FIRING: "it fires here",
    verdicts.HELD: "it would fire; whether a cause on another rank keeps it quiet is decided a moment later",
    verdicts.EXCUSED: "it would fire, but another rank was away, and this one waited for it",
    verdicts.INHIBITED: "it would fire, but is kept quiet by {detail}, which fires",
    verdicts.STILL: "it has fired before and still does",
    verdicts.RESOLVED: "it ended here: {detail}",
    verdicts.LATE: "the record came too late to be judged: its turn had passed",
    verdicts.REFUSED: "the run has too many series already: this one is not judged",
}


def _condition(part: Part) -> dict[str, Any]:
    miss = part.miss if math.isfinite(part.miss) else None
    return {"text": part.text, "shown": part.shown, "holds": part.holds, "miss": miss}
