"""May this action go out now? One gate after the other, each a pure question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emitter.vocabulary import commands
from stream.remediate import decisions
from stream.remediate.runs import Run
from stream.remediate.settings import APPROVE, SHADOW, Budget
from stream.remediate.state import State
from stream.remediate.steps import Step, StepState

NOTIFY: Final = "notify"
NO_KEY: Final = "no signing key; make one with `trainwarden keys new`, and let the trainers trust it"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a step. ``trips``: the circuit breaker opens by it."""

    decision: str
    state: StepState
    reason: str | None = None
    trips: bool = False


def judge(state: State, run: Run, step: Step, time_ns: int) -> Verdict:
    """What becomes of a step that is due, at that time."""
    silence = state.silence_of(run, step.diagnosis.rule, time_ns)
    if silence is not None:
        words = f": {silence.comment}" if silence.comment else ""
        return Verdict(
            decisions.SILENCED, StepState.DROPPED, f"silence {silence.id} of {silence.author}{words}"
        )
    if time_ns < run.cooldowns.get(step.name, 0):
        reason = f"{step.name} was decided less than {step.plan.cooldown_s:g} s ago"
        return Verdict(decisions.COOLDOWN, StepState.DONE, reason)
    mode = state.mode_of(run, step.plan.mode, time_ns)
    if mode == SHADOW:
        return Verdict(decisions.SHADOW, StepState.DONE, "mode is shadow")
    if step.name == NOTIFY:
        return Verdict(decisions.NOTIFIED, StepState.DONE, _message(step))
    return _may_act(state, run, step, time_ns, mode)


def _may_act(state: State, run: Run, step: Step, time_ns: int, mode: str) -> Verdict:
    if not state.settings.can_sign:
        return Verdict(decisions.FAILED, StepState.FAILED, NO_KEY)
    if state.tripped is not None:
        return Verdict(decisions.SUPPRESSED, StepState.DROPPED, state.tripped.reason)
    spent = over_budget(state, run, step.name, time_ns)
    if spent is not None:
        what = " or ".join(spent.actions) or "actions"
        reason = f"the budget of {spent.most} {what} in {spent.within_s:g} s is spent"
        return Verdict(decisions.BUDGET, StepState.FAILED, reason)
    if too_many_runs(state, run, time_ns):
        breaker = state.settings.breaker
        reason = f"more than {breaker.runs} runs were acted on within {breaker.within_s:g} s"
        return Verdict(decisions.SUPPRESSED, StepState.DROPPED, reason, trips=True)
    if mode == APPROVE and step.name in commands.DESTRUCTIVE:
        return Verdict(decisions.HELD, StepState.HELD, "waits for approval")
    return Verdict(decisions.SENT, StepState.SENT)


def over_budget(state: State, run: Run, action: str, time_ns: int) -> Budget | None:
    """The first budget that one more of these would break."""
    for budget in state.settings.budgets:
        if budget.actions and action not in budget.actions:
            continue
        names = budget.actions or tuple(run.spent)
        recent = [t for name in names for t in run.spent.get(name, ()) if time_ns - t < budget.within_s * 1e9]
        if len(recent) >= budget.most:
            return budget
    return None


def too_many_runs(state: State, run: Run, time_ns: int) -> bool:
    """Whether acting on this run, too, is more at once than the breaker allows."""
    breaker = state.settings.breaker
    window = breaker.within_s * 1e9
    # Partitions need not stand at the same time, so a window has two sides.
    recent = {other for other, when in state.acted.items() if abs(time_ns - when) <= window}
    return run.id not in recent and len(recent) >= breaker.runs


def _message(step: Step) -> str:
    message = step.action.args.get("message")
    return f"{message}: {step.diagnosis.summary}" if message else step.diagnosis.summary
