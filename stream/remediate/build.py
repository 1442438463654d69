"""Commands: what an action of an incident says to the trainer."""

from __future__ import annotations

from typing import Any, Final

from emitter.vocabulary import cloudevents
from emitter.vocabulary.commands import Command, Reason
from stream.remediate.incidents import Incident, Step
from stream.remediate.state import Run

LIFETIME_S: Final = 600.0
"""How long a command is worth obeying."""


def build_command(run: Run, incident: Incident, step: Step, issued_ns: int) -> Command:
    """The command of a step, issued at that time."""
    diagnosis = step.diagnosis
    return Command(
        id=incident.command_id(step),
        run=incident.run,
        action=step.action.name,
        args=_args(run, incident, step),
        issued=cloudevents.rfc3339(issued_ns),
        expires=cloudevents.rfc3339(issued_ns + int(LIFETIME_S * 1e9)),
        attempt=incident.attempt,
        reason=Reason(diagnosis.id, diagnosis.rule, diagnosis.summary),
    )


def expires_ns(command: Command) -> int:
    """When the command expires, in Unix nanoseconds."""
    return cloudevents.parse_rfc3339(command.expires)


def _args(run: Run, incident: Incident, step: Step) -> dict[str, Any]:
    args = dict(step.action.args)
    if step.action.name == "rollback":
        return {"lr_scale": None, **args, **_rollback(run, incident)}
    if step.action.name == "save" and incident.numerics:
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
