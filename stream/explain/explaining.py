"""From a recording and a rule to the answer."""

from __future__ import annotations

from typing import Final

from stream.diagnose import verdicts
from stream.diagnose.engine import MAX_SERIES
from stream.explain.answers import Answer, Explaining, Moment
from stream.explain.causes import needed
from stream.explain.probing import probed
from stream.explain.watching import Tally, Watcher
from stream.offline.asleep import asleep, names_of
from stream.offline.errors import OfflineError
from stream.offline.finding import Group
from stream.offline.replay import Recording, Replay
from stream.rulelang.model import Rule, RuleSet


def explain(
    group: Group, rules: RuleSet, rule: Rule, *, step: int | None = None, rank: int | None = None,
    run: str | None = None, experimental: bool = False, recording: Recording | None = None,
    problems: list[OfflineError] | None = None, max_series: int = MAX_SERIES,
) -> Answer:  # fmt: skip
    """Why the rule did or did not fire in this run; what could not be read is added to ``problems``."""
    told = probed(needed(rules, rule), rule)
    watcher = Watcher(told, step, rank)
    replay = Replay(
        group, told.rules, run=run, experimental=experimental, watch=watcher, recording=recording,
        max_series=max_series,
    )  # fmt: skip
    fired = [
        one.diagnosis for one in replay if one.diagnosis.rule == rule.id and one.diagnosis.state == "firing"
    ]
    if problems is not None:
        problems.extend(replay.problems)
    logged = names_of(replay.totals.values())
    explaining = Explaining(rule, watcher, logged, replay.timed)
    moments = [explaining.moment(verdict) for verdict in watcher.at_step]
    tally = watcher.tally
    left_out = rule.id in replay.skipped.rules
    active = experimental or rule.maturity == "stable"
    sleeper = next((one for one in asleep(told.rules, logged, True) if one.rule == rule.id), None)
    reason = "left out: it measures time, and this data has no times" if left_out else ""
    nearest = explaining.moment(tally.nearest.verdict) if tally.nearest is not None else None
    firings = [
        {
            "step": one.step,
            "rank": one.rank,
            "time": one.time if replay.timed else None,
            "summary": one.summary,
        }
        for one in fired
        if rank is None or one.rank == rank
    ]
    name = next(iter(replay.totals), group.run)
    return Answer(
        run=name, rule=rule.id, step=step,
        summary=_summary(rule, tally, len(firings), step, moments, bool(replay.totals)),
        outcomes=dict(tally.outcomes), missing=dict(tally.missing), failed=dict(tally.failed.most_common()),
        inhibited_by=dict(tally.inhibited_by), not_full=tally.not_full, firings=firings, nearest=nearest,
        moments=moments, notes=explaining.notes(sleeper, reason, active),
    )  # fmt: skip


def _summary(
    rule: Rule, tally: Tally, fired: int, step: int | None, moments: list[Moment], read: bool
) -> str:
    if not read:
        return "nothing could be read"
    if step is not None and not moments:
        return f"the rule judged nothing at step {step}: no event of its kind came with that step"
    if step is not None:
        outcomes = ", ".join(dict.fromkeys(one.outcome for one in moments))
        return f"at step {step}: {outcomes}"
    if fired:
        return f"it fired {fired} time{'s' * (fired > 1)}"
    if rule.absent is not None:
        return f"it never fired: {rule.absent.of} never stayed away for long enough"
    return f"it never fired: {_reason(tally)}"


def _reason(tally: Tally) -> str:
    """Why most of all: of what it judged first, then of what it did not."""
    told = next((sentence for outcome, sentence in _REASONS.items() if tally.outcomes[outcome]), _NOTHING)
    names = ", ".join(f"`{name}`" for name in tally.missing)
    return told.format(causes=", ".join(tally.inhibited_by), missing=names)


_NOTHING: Final = "it had nothing to judge"
_REASONS: Final = {
    verdicts.INHIBITED: "kept quiet by {causes}",
    verdicts.EXCUSED: "it waited for ranks that were away",
    verdicts.PENDING: "the condition held, but not for long enough",
    verdicts.NO_MATCH: "the condition never held",
    verdicts.WHERE: "`where` never held",
    verdicts.LATE: "what it should judge came too late",
    verdicts.REFUSED: "the run has too many series",
    verdicts.MISSING: "no record carried {missing}",
    verdicts.UNMATCHED: "no line matched its patterns",
}
