"""What to do about diagnoses: which action, when, once the one before it ended well.

Pure: ``now_ns`` (the wall clock) only keeps commands back that nobody could obey any more; everything
else follows from the records and their clock, so a replay decides the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from emitter.vocabulary import commands
from emitter.vocabulary.commands import Ack
from emitter.vocabulary.diagnoses import FIRING, RESOLVED, Diagnosis
from stream.events import Event, Resource, Tick
from stream.remediate import decisions
from stream.remediate.build import build_command, expires_ns
from stream.remediate.checkpoints import checkpoint_of
from stream.remediate.decisions import Decision, of_incident, of_step
from stream.remediate.incidents import Incident, Step, StepState, diagnosis_ns, open_incident
from stream.remediate.state import Run, State
from stream.rulelang.model import RuleSet

MODES: Final = ("act", "approve", "shadow")
"""From free to strict; of a rule's and the global mode the stricter one holds."""

ANSWER_WITHIN_S: Final = 30.0
"""A command that nobody acknowledged is sent again, with the same id."""

_PROMISED: Final = frozenset({commands.SCHEDULED, commands.RUNNING})


class Policy:
    """Decides for the runs of one partition; the caller keeps the state and writes the decisions."""

    def __init__(self, rules: RuleSet, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
        self._rules = {rule.id: rule for rule in rules.rules}
        self._mode = mode

    def under(self, rules: RuleSet) -> Policy:
        """The same policy under other rules; incidents that are open keep the rules they began with."""
        return Policy(rules, self._mode)

    # Inputs

    def diagnosis(self, state: State, diagnosis: Diagnosis, now_ns: int) -> list[Decision]:
        """A diagnosis began or ceased to fire."""
        run = state.run(diagnosis.run)
        if diagnosis.state == RESOLVED and run.incident is not None:
            run.incident.open.discard(diagnosis.id)
            return list(self._advance(state, run, now_ns))
        if diagnosis.state != FIRING or not run.first_sight(diagnosis.id):
            return []
        made: list[Decision] = []
        if diagnosis.attempt > run.attempt:
            made += self._begin_attempt(state, run, diagnosis.attempt)
        made += self._fire(state, run, diagnosis)
        return made + list(self._advance(state, run, now_ns))

    def ack(self, state: State, ack: Ack, now_ns: int) -> list[Decision]:
        """A rank answered. Answers to commands that are not under way change nothing."""
        run = state.run(ack.run)
        step = run.incident.find(ack.command) if run.incident is not None else None
        if step is None or step.state is not StepState.SENT or ack.attempt != run.attempt:
            return []
        step.acks[ack.rank] = ack.state
        return [*self._judge(state, run, step, ack), *self._advance(state, run, now_ns)]

    def tick(self, state: State, tick: Tick, now_ns: int) -> list[Decision]:
        """The clock moved: settle times, escalations, retries and expiry."""
        state.clock.hear(tick)
        made: list[Decision] = []
        for run in list(state.runs.values()):
            if run.incident is not None:
                made += self._retry(state, run, run.incident, now_ns)
                made += self._advance(state, run, now_ns)
        state.forget_old()
        return made

    def event(self, state: State, run: Run, event: Event, sender: Resource, now_ns: int) -> list[Decision]:
        """A lifecycle event or a finished checkpoint span of a run."""
        checkpoint = checkpoint_of(event)
        if checkpoint is not None:
            run.checkpoints.add(checkpoint)
        if event.name != "train.lifecycle" or sender.attempt < run.attempt:
            return []
        made: list[Decision] = []
        if sender.attempt > run.attempt:
            made += self._begin_attempt(state, run, sender.attempt)
        run.live(event, sender)
        return made + (self._withdraw(state, run, "the run ended") if run.over else [])

    # Incidents

    def _fire(self, state: State, run: Run, diagnosis: Diagnosis) -> list[Decision]:
        rule = self._rules.get(diagnosis.rule)
        reason = _why_not(run, diagnosis, rule is None)
        time_ns = _time(state, diagnosis)
        if reason is not None or rule is None:
            return [_ignored(diagnosis, time_ns, reason)]
        made: list[Decision] = []
        if run.incident is None:
            run.incident = open_incident(diagnosis)
            made.append(of_incident(decisions.OPENED, run.incident, time_ns, diagnosis.summary))
        run.incident.join(diagnosis, rule)
        return made

    def _begin_attempt(self, state: State, run: Run, attempt: int) -> list[Decision]:
        made = self._withdraw(state, run, f"attempt {attempt} began")
        run.begin_attempt(attempt)
        return made

    def _withdraw(self, state: State, run: Run, reason: str) -> list[Decision]:
        incident, run.incident = run.incident, None
        if incident is None:
            return []
        time_ns = state.clock.now_ns or incident.began_ns
        made = [
            of_step(decisions.WITHDRAWN, incident, step, time_ns, reason)
            for step in incident.steps
            if step.state in (StepState.PLANNED, StepState.SENT, StepState.HELD)
        ]
        return [*made, of_incident(decisions.CLOSED, incident, time_ns, reason)]

    # Steps

    def _advance(self, state: State, run: Run, now_ns: int) -> Iterator[Decision]:
        incident = run.incident
        if incident is None:
            return
        waiting = False
        for step in incident.steps:
            if step.state is StepState.PLANNED:
                yield from self._consider(state, run, incident, step, waiting, now_ns)
            waiting = waiting or step.state is not StepState.DONE
        if incident.over:
            run.incident = None
            yield of_incident(decisions.CLOSED, incident, _latest(state, incident), "resolved")

    def _consider(
        self, state: State, run: Run, incident: Incident, step: Step, waiting: bool, now_ns: int
    ) -> Iterator[Decision]:
        escalation = step.action.if_unresolved_s is not None
        if escalation and step.diagnosis.id not in incident.open:
            yield _end(
                incident, step, StepState.DONE, decisions.WITHDRAWN, _latest(state, incident), "resolved"
            )
        elif not escalation and waiting:
            # Whatever stands before it may still end; once the trouble is over, it cannot matter any more.
            if not incident.open and _stuck(incident, step):
                reason = "an action before it did not succeed"
                yield _end(
                    incident, step, StepState.FAILED, decisions.WITHDRAWN, _latest(state, incident), reason
                )
        elif step.due_ns <= step.fired_ns or step.due_ns <= (state.clock.now_ns or 0):
            yield self._decide(state, run, incident, step, now_ns)

    def _decide(self, state: State, run: Run, incident: Incident, step: Step, now_ns: int) -> Decision:
        action, time_ns = step.action.name, max(step.fired_ns, state.clock.now_ns or 0)
        if time_ns < run.cooldowns.get(action, 0):
            reason = f"{action} was decided less than {step.rule.cooldown_s:g} s ago"
            return _end(incident, step, StepState.DONE, decisions.COOLDOWN, time_ns, reason)
        run.cooldowns[action] = time_ns + int(step.rule.cooldown_s * 1e9)
        step.command = build_command(run, incident, step, time_ns)
        mode = max(self._mode, step.rule.mode or MODES[0], key=MODES.index)
        if mode == "shadow":
            return _end(incident, step, StepState.DONE, decisions.SHADOW, time_ns, "mode is shadow")
        if action == "notify":
            return _end(incident, step, StepState.DONE, decisions.NOTIFIED, time_ns, step.diagnosis.summary)
        if mode == "approve" and action in commands.DESTRUCTIVE:
            return _end(incident, step, StepState.HELD, decisions.HELD, time_ns, "waits for approval")
        if expires_ns(step.command) <= now_ns:
            return _end(
                incident, step, StepState.FAILED, decisions.EXPIRED, time_ns, "expired before it was sent"
            )
        step.state, step.sent_ns, step.times_sent = StepState.SENT, time_ns, 1
        return of_step(decisions.SENT, incident, step, time_ns)

    # Answers

    def _judge(self, state: State, run: Run, step: Step, ack: Ack) -> list[Decision]:
        incident, time_ns = run.incident, state.clock.now_ns or step.sent_ns
        if incident is None:
            return []
        if ack.state in (commands.REJECTED, commands.FAILED, commands.EXPIRED):
            who = "rank -" if ack.rank is None else f"rank {ack.rank}"
            reason = f"{who}: {ack.state}: {ack.reason}"
            return [_end(incident, step, StepState.FAILED, decisions.FAILED, time_ns, reason)]
        done = {rank for rank, answer in step.acks.items() if answer == commands.SUCCEEDED}
        if not done or not run.targets <= done:
            return []
        if step.action.name == "rollback":
            run.checkpoints.forget_after(incident.before_step, incident.began_ns)
        return [_end(incident, step, StepState.DONE, decisions.SUCCEEDED, time_ns, None)]

    def _retry(self, state: State, run: Run, incident: Incident, now_ns: int) -> Iterator[Decision]:
        clock = state.clock.now_ns
        for step in incident.steps:
            if step.state is not StepState.SENT or step.command is None or clock is None:
                continue
            if _PROMISED & set(step.acks.values()):
                continue
            if expires_ns(step.command) <= max(now_ns, clock):
                reason = "no rank did it before it expired"
                yield _end(incident, step, StepState.FAILED, decisions.EXPIRED, clock, reason)
            elif clock - step.sent_ns >= ANSWER_WITHIN_S * 1e9:
                step.sent_ns, step.times_sent = clock, step.times_sent + 1
                yield of_step(decisions.RESENT, incident, step, clock, "no answer in time")


def _why_not(run: Run, diagnosis: Diagnosis, unknown: bool) -> str | None:
    if unknown:
        return f"no rule {diagnosis.rule!r} in this worker's rule set"
    if diagnosis.attempt < run.attempt:
        return f"attempt {diagnosis.attempt} is over, attempt {run.attempt} runs"
    return "the run ended" if run.over else None


def _ignored(diagnosis: Diagnosis, time_ns: int, reason: str | None) -> Decision:
    return Decision(
        id=f"{diagnosis.id}/{decisions.IGNORED}",
        decision=decisions.IGNORED,
        run=diagnosis.run,
        attempt=diagnosis.attempt,
        time_ns=time_ns,
        reason=reason,
        diagnosis=diagnosis.id,
        rule=diagnosis.rule,
        rule_version=diagnosis.rule_version,
    )


def _end(
    incident: Incident, step: Step, state: StepState, decision: str, time_ns: int, reason: str | None
) -> Decision:
    step.state = state
    return of_step(decision, incident, step, time_ns, reason)


def _stuck(incident: Incident, step: Step) -> bool:
    """Whether an action before this one ended badly or waits for a person, and none is under way."""
    before = [s.state for s in incident.steps[: step.position]]
    return all(state.ended for state in before)


def _time(state: State, diagnosis: Diagnosis) -> int:
    return max(diagnosis_ns(diagnosis), state.clock.now_ns or 0)


def _latest(state: State, incident: Incident) -> int:
    return max(incident.began_ns, state.clock.now_ns or 0)
