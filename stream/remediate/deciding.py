"""What to do next in a run: which action is due, what becomes of it, and how its incident stands."""

from __future__ import annotations

from emitter.vocabulary import commands, diagnoses
from stream.remediate import decisions
from stream.remediate.build import build_command, expires_ns
from stream.remediate.decisions import Decision, of_incident
from stream.remediate.gates import NOTIFY, judge
from stream.remediate.incidents import Incident, IncidentState
from stream.remediate.runs import Run
from stream.remediate.state import Tripped, destructive_under_way
from stream.remediate.steps import Step, StepState
from stream.remediate.turn import Turn


def advance(turn: Turn, run: Run) -> None:
    """Do what is due in all incidents of a run."""
    for incident in list(run.incidents):
        _advance_steps(turn, run, incident)
        _stand(turn, run, incident)
        if incident.state.final:
            close(turn, run, incident)


def close(turn: Turn, run: Run, incident: Incident) -> None:
    """The incident is over: the ledger says how."""
    time_ns = incident.ended_ns or incident.began_ns
    incident.cost.moves(time_ns)
    run.incidents.remove(incident)
    turn.publish(run, incident, time_ns)
    turn.decide(of_incident(decisions.CLOSED, incident, time_ns, incident.outcome))


def latest(turn: Turn, run: Run, incident: Incident) -> int:
    """The time of the run's clock, never before the incident began."""
    return max(incident.began_ns, turn.state.now(run))


def _advance_steps(turn: Turn, run: Run, incident: Incident) -> None:
    for step in incident.steps:
        if step.state is StepState.PLANNED:
            _consider(turn, run, incident, step)


def _consider(turn: Turn, run: Run, incident: Incident, step: Step) -> None:
    if run.over and step.name != NOTIFY:
        return  # either another attempt begins, or the run has ended
    now = latest(turn, run, incident)
    if step.escalation:
        if step.diagnosis.id not in incident.open:
            turn.end(incident, step, StepState.DROPPED, decisions.WITHDRAWN, now, "resolved")
            return
    elif _stuck(incident, step):
        # A person may still do what stands before it; once the trouble is over, it cannot matter any more.
        if not incident.open:
            reason = "an action before it was not done"
            turn.end(incident, step, StepState.DROPPED, decisions.WITHDRAWN, now, reason)
        return
    elif _waits(incident, step):
        return
    due = step.due_ns <= max(step.fired_ns, turn.state.now(run))
    if due and (step.name == NOTIFY or not destructive_under_way(run, incident, commands.DESTRUCTIVE)):
        _decide(turn, run, incident, step)


def _stuck(incident: Incident, step: Step) -> bool:
    """Whether an action before it, of the same diagnosis, ended otherwise than done."""
    before = [other for other in incident.steps[: step.position] if other.diagnosis is step.diagnosis]
    return any(other.state.ended and other.state is not StepState.DONE for other in before)


def _waits(incident: Incident, step: Step) -> bool:
    """Whether one before it is still to come; what only time brings holds up its own diagnosis alone."""
    return any(
        not other.state.ended
        and (other.diagnosis is step.diagnosis or not (other.escalation or step.name == NOTIFY))
        for other in incident.steps[: step.position]
    )


def _decide(turn: Turn, run: Run, incident: Incident, step: Step) -> None:
    state, time_ns = turn.state, max(step.fired_ns, turn.state.now(run))
    verdict = judge(state, run, step, time_ns)
    if verdict.trips:
        _trip(turn, run, incident, step, time_ns, verdict.reason or "")
    if verdict.decision in (decisions.SENT, decisions.HELD, decisions.SHADOW, decisions.NOTIFIED):
        run.cooldowns[step.name] = time_ns + int(step.plan.cooldown_s * 1e9)
    if verdict.decision in (decisions.SENT, decisions.HELD, decisions.SHADOW):
        step.command = build_command(run, incident, step, time_ns, state.settings.lifetime_s)
        step.expires_ns = expires_ns(step.command)
    if verdict.decision in (decisions.SENT, decisions.HELD):
        state.acted[run.id] = time_ns
    if verdict.state is not StepState.SENT:
        turn.end(incident, step, verdict.state, verdict.decision, time_ns, verdict.reason)
    elif step.expires_ns <= turn.written_ns or step.late(state.settings.lifetime_s):
        reason = "it was too old before it could be sent"
        turn.end(incident, step, StepState.FAILED, decisions.EXPIRED, time_ns, reason)
    else:
        turn.send(run, incident, step, time_ns)


def _trip(turn: Turn, run: Run, incident: Incident, step: Step, time_ns: int, reason: str) -> None:
    turn.state.tripped = Tripped(time_ns, step.command_id, f"the circuit breaker is open: {reason}")
    turn.decide(
        Decision(
            id=f"breaker/{step.command_id}/tripped",
            decision=decisions.BREAKER_TRIPPED,
            run="",
            attempt=0,
            time_ns=time_ns,
            reason=f"{reason}; nothing is done any more until a person resets it",
            severity=diagnoses.CRITICAL,
            rule=step.diagnosis.rule,
            rule_version=step.diagnosis.rule_version,
            diagnosis=step.diagnosis.id,
            action=step.name,
            detail={
                "runs": sorted(turn.state.acted),
                "run": run.id,
                "incident": incident.id,
                "command": step.command_id,
            },
        )
    )


def _stand(turn: Turn, run: Run, incident: Incident) -> None:
    """Bring the state of an incident up to what its diagnoses and actions are."""
    now = latest(turn, run, incident)
    failed = [step for step in incident.steps if step.state is StepState.FAILED]
    if incident.under_way(StepState.SENT):
        incident.move(IncidentState.ACTING, now, "a command is under way")
    elif not incident.open:
        _settle(turn, incident, now)
    elif incident.under_way(StepState.HELD):
        incident.move(IncidentState.WAITING, now, "an action waits for approval")
    elif failed and not _more_to_come(incident):
        _escalate(turn, incident, now, f"{failed[-1].name}: {failed[-1].reason}", len(failed))
    elif _fires_on(turn, run, incident, now):
        _escalate(turn, incident, now, "it fires on after all actions", 1)
    elif incident.state is not IncidentState.ESCALATED:
        incident.move(IncidentState.OPEN, now, "it fires")


def _settle(turn: Turn, incident: Incident, now: int) -> None:
    settings = turn.state.settings
    incident.move(IncidentState.SETTLING, now, "nothing fires any more")
    since = incident.quiet_ns if incident.quiet_ns is not None else now
    if now - since < settings.settle_s * 1e9:
        return
    left = [step for step in incident.steps if not step.state.ended]
    turn.withdraw(incident, left, now, "resolved")
    incident.move(IncidentState.RESOLVED, now, "resolved")


def _more_to_come(incident: Incident) -> bool:
    """Whether an action may still be decided without a person."""
    return any(
        step.state is StepState.PLANNED and not step.escalation and not _stuck(incident, step)
        for step in incident.steps
    )


def _fires_on(turn: Turn, run: Run, incident: Incident, now: int) -> bool:
    acted = [step.sent_ns for step in incident.steps if step.times_sent]
    grave = incident.members[incident.cause()].severity != diagnoses.INFO
    long_ago = bool(acted) and now - max(acted) >= turn.state.settings.escalate_s * 1e9
    return grave and long_ago and not _more_to_come(incident)


def _escalate(turn: Turn, incident: Incident, now: int, reason: str, failures: int) -> None:
    incident.move(IncidentState.ESCALATED, now, reason)
    if failures > incident.escalations:
        incident.escalations = failures - 1
        turn.escalate(incident, now, reason)
