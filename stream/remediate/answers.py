"""Acknowledgements, and what is done when there is none."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary import actions, commands
from emitter.vocabulary.commands import Ack
from stream.remediate import decisions
from stream.remediate.build import only_actors
from stream.remediate.deciding import latest
from stream.remediate.incidents import Incident
from stream.remediate.runs import Run
from stream.remediate.steps import Step, StepState
from stream.remediate.turn import Turn

RESTARTS: Final = frozenset({"restart", "rollback"})
"""Actions after which training goes on from what was saved."""
_BAD: Final = (commands.REJECTED, commands.FAILED, commands.EXPIRED)


def answer(turn: Turn, run: Run, ack: Ack) -> None:
    """A rank answered. Answers to commands that are not under way change nothing."""
    for incident in run.incidents:
        step = incident.find(ack.command)
        if step is not None and step.state is StepState.SENT and ack.attempt == step.attempt:
            _judge(turn, run, incident, step, ack)


def _judge(turn: Turn, run: Run, incident: Incident, step: Step, ack: Ack) -> None:
    now = max(latest(turn, run, incident), step.sent_ns)
    step.heard(ack, now)
    incident.changed = True
    if ack.state in _BAD:
        who = ack.executor if ack.rank is None else f"rank {ack.rank}"
        reason = f"{who}: {ack.state}: {ack.reason}"
        turn.end(incident, step, StepState.FAILED, decisions.FAILED, now, reason)
    elif ack.state == commands.SUCCEEDED and not missing(run, step, ack):
        succeeded(turn, run, incident, step, now, ack.step, goes_on=_goes_on(ack))


def missing(run: Run, step: Step, ack: Ack | None = None) -> set[int | None]:
    """The ranks that have not said that it is done; a program of the user's speaks for all."""
    if ack is not None and ack.executor.startswith(actions.ACTOR) and not ack.detail.get("ranks"):
        return set()
    done = {rank or 0 for rank, state in step.acks.items() if state == commands.SUCCEEDED}
    return run.targets - done if done else (run.targets or {0})


def succeeded(
    turn: Turn,
    run: Run,
    incident: Incident,
    step: Step,
    now: int,
    at_step: int | None,
    reason: str | None = None,
    goes_on: int | None = None,
) -> None:
    """Every rank has done it, or its effect was seen. ``goes_on``: the step that is made next, if said."""
    if step.name in RESTARTS:
        count_cost(run, incident, step.name, now, [at_step, step.diagnosis.step], goes_on)
    if step.name == "rollback":
        run.checkpoints.forget_after(incident.before_step, incident.began_ns)
    if step.name == "pause":
        incident.cost.stands(now)
    turn.end(incident, step, StepState.DONE, decisions.SUCCEEDED, now, reason)


def _goes_on(ack: Ack) -> int | None:
    """What the trainer's handler says of the step that it makes next."""
    said = ack.detail.get("to_step") if isinstance(ack.detail, dict) else None
    return said if type(said) is int and said >= 0 else None


def count_cost(
    run: Run,
    incident: Incident,
    action: str,
    now: int,
    reached: list[int | None],
    goes_on: int | None = None,
) -> None:
    """Training goes on from a checkpoint: what was made since is lost. ``reached``: steps known of.

    A checkpoint holds its step, unless the trainer says with which one it goes on.
    """
    steps = [step for step in (*reached, incident.before_step) if step is not None]
    if action == "rollback":
        kept = run.checkpoints.newest_before(incident.before_step, incident.began_ns)
    else:
        kept = run.checkpoints.newest()
    kept_ns = kept.saved_ns if kept is not None else run.began_ns or incident.began_ns
    held = goes_on - 1 if goes_on is not None else kept.step if kept else None
    incident.cost.rewound(max(steps, default=None), held, kept_ns, now)


def retry(turn: Turn, run: Run) -> None:
    """Send again what nobody answered; give up what is too old, or was sent often enough."""
    if run.over:
        return  # nobody is there; whether another attempt begins is decided elsewhere
    for incident in run.incidents:
        for step in incident.under_way(StepState.SENT):
            _retry(turn, run, incident, step)


def _retry(turn: Turn, run: Run, incident: Incident, step: Step) -> None:
    settings, clock = turn.state.settings, turn.state.now(run)
    states = set(step.acks.values())
    late = None
    if step.begun_ns is not None and commands.RUNNING in states:
        if clock - step.begun_ns >= settings.finish_s * 1e9:
            late = f"it did not end within {settings.finish_s:g} s"
    elif step.expires_ns <= max(clock, turn.written_ns):
        late = _who_did_not(run, step, "it expired")
    elif clock - step.sent_ns >= settings.answer_s * 1e9 and commands.SCHEDULED not in states:
        if step.times_sent < settings.sendings or commands.ABORTED in states:
            turn.send(run, incident, step, clock, "no answer in time")
        else:
            late = _who_did_not(run, step, f"sent {step.times_sent} times")
    if late is not None:
        decision = decisions.EXPIRED if "expired" in late else decisions.FAILED
        turn.end(incident, step, StepState.FAILED, decision, clock, late)


def _who_did_not(run: Run, step: Step, why: str) -> str:
    if not step.acks:
        who = "no actor" if only_actors(step.name) else "nobody"
        return f"{why}, and {who} answered"
    ranks = ", ".join(str(rank) for rank in sorted(rank or 0 for rank in missing(run, step)))
    return f"{why}, and it is not done on rank {ranks}"
