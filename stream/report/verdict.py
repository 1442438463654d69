"""The verdict: in one or two sentences what happened, what was done, and what it cost. Pure."""

from __future__ import annotations

from typing import Any, Final

from stream.report.facts import Action, IncidentFacts, RunFacts
from stream.report.numbers import count, gpu_hours, seconds

_DID: Final = {
    "rollback": "rolled back", "restart": "restarted the run", "stop": "stopped the run",
    "set": "changed a setting",
    "pause": "paused the run", "resume": "resumed the run", "save": "saved a checkpoint",
    "exclude_node": "excluded a node", "dump_stacks": "took stacks", "profile": "took a profile",
    "notify": "told people",
}  # fmt: skip
_WEIGHT: Final = ("rollback", "restart", "exclude_node", "stop", "set", "pause", "resume")
"""The gravest first; other actions only look."""


def of_incident(facts: IncidentFacts) -> str:
    """What was done about it and what it cost."""
    return f"{_done(facts)}; {cost(facts.lost_steps, facts.lost_seconds, facts.gpu_seconds)}."


def of_run(facts: RunFacts) -> str:
    """How it went, and how its incidents did."""
    ran = f"{_went(facts)} after {seconds(facts.seconds)}"
    known = len(facts.incidents) + facts.more_incidents
    if not known:
        return f"{ran}. No incident."
    if known == 1:
        return f"{ran}. One incident: {of_incident(facts.incidents[0])}"
    states: dict[str, int] = {}
    for one in facts.incidents:
        states[one.state] = states.get(one.state, 0) + 1
    told = ", ".join(f"{times} {state}" for state, times in sorted(states.items()))
    of_these = f" of the newest {len(facts.incidents)}" if facts.more_incidents else ""
    return f"{ran}. {count(known, 'incident')} ({told}{of_these}); {_costs(facts)}{of_these}."


def cost(steps: int, lost_s: float, gpu_s: float | None) -> str:
    """What was lost."""
    if not steps and not lost_s:
        return "nothing was lost"
    parts = [f"{count(steps, 'step')} recomputed"] if steps else []
    parts.append(f"{seconds(lost_s)} lost")
    parts.append(f"{gpu_hours(gpu_s)} lost" if gpu_s is not None else gpu_hours(gpu_s))
    return ", ".join(parts)


def gravest(facts: IncidentFacts) -> Action | None:
    """The action that counts most, of those that succeeded if any did."""
    for done in (True, False):
        for name in _WEIGHT:
            found = [one for one in facts.actions if one.action == name and one.succeeded == done]
            if found:
                return found[-1]
    return facts.actions[-1] if facts.actions else None


def destination(action: Action) -> str:
    """Where a rollback or a restart went back to, as far as it was said."""
    step = action.detail.get("to_step", action.detail.get("step"))
    back = action.action in ("rollback", "restart") and isinstance(step, int)
    return f" to step {step:,}" if back else ""


def _done(facts: IncidentFacts) -> str:
    action = gravest(facts)
    if action is None:
        return f"{facts.cause.rule} fired and no action was planned"
    if action.succeeded:
        after = f" after {seconds((action.ended - facts.event) / 1e9)}" if action.ended is not None else ""
        return f"Trainwarden {_DID.get(action.action, action.action)}{destination(action)}{after}"
    if action.state == "held":
        return f"{action.action} waits for approval"
    why = f": {action.reason}" if action.reason else ""
    return f"{action.action} was not done ({action.outcome or action.state}{why})"


def _went(facts: RunFacts) -> str:
    where = f" at step {facts.last_step:,}" if facts.last_step >= 0 else " without a step"
    words = {"finished": "Finished", "failed": "Failed", "killed": "Was killed", "running": "Running"}
    return words.get(facts.state, "Last seen") + where


def _costs(facts: RunFacts) -> str:
    known: list[Any] = [one.gpu_seconds for one in facts.incidents]
    return cost(
        sum(one.lost_steps for one in facts.incidents), sum(one.lost_seconds for one in facts.incidents),
        None if None in known else sum(known),
    )  # fmt: skip
