"""Commands: what an action of an incident says to the trainer."""

from __future__ import annotations

from typing import Any

from emitter.vocabulary import actions, cloudevents
from emitter.vocabulary.commands import Command, Reason, Target
from stream.remediate.incidents import Incident
from stream.remediate.runs import Run
from stream.remediate.steps import Step


def build_command(run: Run, incident: Incident, step: Step, issued_ns: int, lifetime_s: float) -> Command:
    """The command of a step, issued at that time. It is for all ranks, on all nodes: no rank acts alone."""
    diagnosis = step.diagnosis
    return Command(
        id=step.command_id,
        run=incident.run,
        action=step.name,
        args=_args(run, incident, step),
        target=Target(node=diagnosis.node) if step.name == "exclude_node" else Target(),
        issued=cloudevents.rfc3339(issued_ns),
        expires=cloudevents.rfc3339(issued_ns + int(lifetime_s * 1e9)),
        attempt=step.attempt,
        reason=Reason(diagnosis.id, diagnosis.rule, diagnosis.summary),
    )


def expires_ns(command: Command) -> int:
    """When the command expires, in Unix nanoseconds."""
    return cloudevents.parse_rfc3339(command.expires)


def only_actors(action: str) -> bool:
    """Whether nothing of ours executes it: a program of the user's has to."""
    return set(actions.TABLE[action].executors) == {actions.ACTOR}


def _args(run: Run, incident: Incident, step: Step) -> dict[str, Any]:
    args = dict(step.action.args)
    if step.name == "rollback":
        return {"lr_scale": None, **args, **_rollback(run, incident)}
    if step.name == "save" and incident.numerics:
        # The weights may be spoilt: kept apart, never something to go back to.
        return {**args, "kind": "forensic"}
    return args


def _rollback(run: Run, incident: Incident) -> dict[str, Any]:
    checkpoint = run.checkpoints.newest_before(incident.before_step, incident.began_ns)
    return {
        "before_step": incident.before_step,
        "before_time": cloudevents.rfc3339(incident.began_ns),
        "checkpoint": checkpoint.to_json() if checkpoint is not None else None,
    }
