"""Attempts of a run: they begin, they end, and what that means to what is under way."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary import events as vocabulary
from stream.remediate import decisions
from stream.remediate.answers import RESTARTS, count_cost, succeeded
from stream.remediate.deciding import close, latest
from stream.remediate.facts import Fact
from stream.remediate.gates import NOTIFY
from stream.remediate.incidents import Incident, IncidentState
from stream.remediate.runs import Run
from stream.remediate.steps import Step, StepState
from stream.remediate.turn import Turn, placed

THE_RUN_ENDED: Final = "the run ended"
FELL_SILENT: Final = "nothing was heard of the run for two days"


def learn(turn: Turn, run: Run, facts: tuple[Fact, ...]) -> None:
    """Take in what the data say of a run. Late words of an old attempt change nothing but its checkpoints."""
    hosts = placed(run)
    for fact in facts:
        if fact.checkpoint is not None:
            run.checkpoints.add(fact.checkpoint)
        if fact.gpu is not None and fact.attempt == run.attempt:
            run.gpus.setdefault(fact.rank, set()).add(fact.gpu)
        if fact.state is None or fact.attempt < run.attempt:
            continue
        if fact.state in vocabulary.SUPERVISOR_STATES:
            _supervised(turn, run, fact)
            continue
        if fact.attempt > run.attempt:
            begin_attempt(turn, run, fact.attempt)
        was_over = run.over
        run.live(fact, max(turn.state.now(run), fact.time))
        if run.finished:
            _end_all(turn, run)
        elif run.over and not was_over:
            _attempt_ended(turn, run)
    turn.place(hosts, run)


def _supervised(turn: Turn, run: Run, fact: Fact) -> None:
    """A supervisor is no rank; but it knows whether another attempt will follow."""
    if run.over_ns is None or fact.attempt != run.attempt:
        return
    if fact.state == vocabulary.GAVE_UP:
        _end_all(turn, run)
    elif fact.state in (vocabulary.RESTARTING, vocabulary.WAITING):
        run.over_ns = max(run.over_ns, turn.state.now(run))


def begin_attempt(turn: Turn, run: Run, attempt: int) -> None:
    """The next attempt runs: what was asked of the old one is done or void."""
    reason = f"attempt {attempt} began"
    for incident in run.incidents:
        now = latest(turn, run, incident)
        commanded = _restarted(run, incident)
        for step in [step for step in incident.steps if not step.state.ended]:
            if step.state is StepState.SENT and step.name in RESTARTS:
                commanded = True
                succeeded(turn, run, incident, step, now, None, reason)
            else:
                turn.withdraw(incident, [step], now, reason)
        if not commanded:
            count_cost(run, incident, "restart", now, [m.diagnosis.step for m in incident.members])
        incident.cost.moves(now)
        incident.note(now, "attempt", reason)
        for diagnosis in list(incident.open):
            incident.quieten(diagnosis, now)
    run.begin_attempt(attempt)


def give_up_waiting(turn: Turn, run: Run) -> None:
    """No other attempt began in time: the run has ended."""
    wait_ns = int(turn.state.settings.restart_s * 1e9)
    if not run.gone and run.over_ns is not None and turn.state.now(run) - run.over_ns >= wait_ns:
        _end_all(turn, run)


def end_silent(turn: Turn, run: Run) -> None:
    """Nobody will say any more how it went on."""
    run.gone = True
    for incident in list(run.incidents):
        now = latest(turn, run, incident)
        left = [step for step in incident.steps if not step.state.ended]
        turn.withdraw(incident, left, now, FELL_SILENT)
        incident.move(IncidentState.ENDED, now, FELL_SILENT)
        close(turn, run, incident)


def _attempt_ended(turn: Turn, run: Run) -> None:
    """All ranks are gone, but a supervisor may start the next attempt."""
    for incident in run.incidents:
        now = latest(turn, run, incident)
        incident.cost.stands(now)
        for step in [step for step in incident.steps if not step.state.ended]:
            restarting = step.state is StepState.SENT and step.name in RESTARTS
            if not restarting and not (step.state is StepState.PLANNED and step.name == NOTIFY):
                _void(turn, run, incident, step, now)


def _end_all(turn: Turn, run: Run) -> None:
    run.gone = True
    for incident in list(run.incidents):
        now = latest(turn, run, incident)
        never_came = _restarted(run, incident) and not run.finished
        for step in incident.under_way(StepState.SENT):
            if step.name in RESTARTS and not run.finished:
                never_came = True
                reason = "no other attempt began in time"
                turn.end(incident, step, StepState.FAILED, decisions.FAILED, now, reason)
        for step in [step for step in incident.steps if not step.state.ended]:
            _void(turn, run, incident, step, now)
        if never_came:
            reason = "it was restarted, and no other attempt began"
            turn.escalate(incident, now, reason)
            incident.move(IncidentState.FAILED, now, reason)
        else:
            incident.move(IncidentState.ENDED, now, THE_RUN_ENDED)
        close(turn, run, incident)


def _void(turn: Turn, run: Run, incident: Incident, step: Step, now: int) -> None:
    if step.state is StepState.SENT and step.name == "stop":
        succeeded(turn, run, incident, step, now, None, THE_RUN_ENDED)
    else:
        turn.withdraw(incident, [step], now, THE_RUN_ENDED)


def _restarted(run: Run, incident: Incident) -> bool:
    return any(_is_restart(step) and step.attempt == run.attempt for step in incident.steps)


def _is_restart(step: Step) -> bool:
    return step.name in RESTARTS and step.state is StepState.DONE and step.times_sent > 0
