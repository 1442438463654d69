"""The arbiter: from the log of remediation to commands and decisions, one report after the other.

Pure: what comes out follows from the reports in their order and nothing else. Whoever reads the log again,
from wherever a worker was killed, decides the same under the same ids.
"""

from __future__ import annotations

from emitter.vocabulary.commands import Ack
from emitter.vocabulary.diagnoses import FIRING, RESOLVED, Diagnosis
from stream.remediate import decisions, words
from stream.remediate.answers import answer, retry
from stream.remediate.deciding import advance, latest
from stream.remediate.decisions import Decision, of_incident
from stream.remediate.incidents import Incident, Member, diagnosis_ns, open_incident
from stream.remediate.lives import begin_attempt, end_silent, give_up_waiting, learn
from stream.remediate.plan import Plan
from stream.remediate.reports import Report
from stream.remediate.runs import Run
from stream.remediate.settings import Settings
from stream.remediate.state import State
from stream.remediate.turn import Made, Turn
from stream.remediate.waking import wakes_ns


class Arbiter:
    """Decides for all runs. ``settings`` hold until the log names others."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.state = State(settings or Settings())

    def take(self, report: Report) -> list[Made]:
        """What one report leads to; nothing for one that was there before."""
        if not self.state.new(report.source):
            return []
        turn = Turn(self.state, report.written_ns)
        run = self._take(turn, report)
        if run is not None:
            advance(turn, run)
            _publish(turn, run)
        return turn.made

    def _take(self, turn: Turn, report: Report) -> Run | None:
        """Take in the content; the run it was about, unless all is done."""
        partition = report.source.partition if report.source is not None else 0
        if report.clock_ns is not None:
            self.state.clocks[partition] = max(report.clock_ns, self.state.clocks.get(partition, 0))
        if report.policy is not None:
            self._wake_all()
            _switch(turn, report.policy)
        elif report.word is not None:
            self._wake_all()
            return words.take(turn, report.word)
        elif report.run:
            return self._about(turn, report, self.state.run(report.run, partition))
        elif report.clock_ns is not None:
            self._tick(turn, partition)
        return None

    def _about(self, turn: Turn, report: Report, run: Run) -> Run:
        run.wakes_ns = 0
        if report.diagnosis is not None:
            _diagnosis(turn, run, Diagnosis(**report.diagnosis), report.plan)
        elif report.ack is not None:
            answer(turn, run, Ack(**report.ack))
        elif self.state.first_reading(run.id, report.batch):
            learn(turn, run, report.facts)
        return run

    def _tick(self, turn: Turn, partition: int) -> None:
        """The clock moved: settle times, escalations, retries and expiry."""
        now = self.state.clocks[partition]
        for run in self.state.busy(partition):
            # A limit may be by the run's clock, or by that of who wrote the report.
            if max(now, turn.written_ns) < run.wakes_ns:
                continue
            retry(turn, run)
            give_up_waiting(turn, run)
            if self.state.silent(run):
                end_silent(turn, run)
            advance(turn, run)
            _publish(turn, run)
            run.wakes_ns = wakes_ns(self.state.settings, run, now)
        for run in self.state.forget_old(partition):
            turn.unplace(run)

    def _wake_all(self) -> None:
        """What holds for all runs is another now."""
        for run in self.state.runs.values():
            run.wakes_ns = 0


def _publish(turn: Turn, run: Run) -> None:
    for incident in run.incidents:
        if incident.changed:
            turn.publish(run, incident, latest(turn, run, incident))


def _switch(turn: Turn, settings: Settings) -> None:
    before, turn.state.settings = turn.state.settings, settings
    if before.digest == settings.digest:
        return
    turn.decide(
        Decision(
            id=f"policy/{settings.digest}/{turn.written_ns}",
            decision=decisions.POLICY,
            run="",
            attempt=0,
            time_ns=turn.written_ns,
            reason=f"policy {settings.digest} is in force",
            detail=settings.to_json(),
        )
    )


def _diagnosis(turn: Turn, run: Run, diagnosis: Diagnosis, plan: Plan | None) -> None:
    if diagnosis.state == RESOLVED:
        for incident in run.incidents:
            incident.quieten(diagnosis.id, max(diagnosis_ns(diagnosis), incident.began_ns))
    elif diagnosis.state == FIRING and run.first_sight(diagnosis.id):
        if diagnosis.attempt > run.attempt:
            begin_attempt(turn, run, diagnosis.attempt)
        _fire(turn, run, diagnosis, plan)


def _fire(turn: Turn, run: Run, diagnosis: Diagnosis, plan: Plan | None) -> None:
    time_ns = max(diagnosis_ns(diagnosis), turn.state.now(run))
    reason = _why_not(run, diagnosis, plan)
    if reason is not None or plan is None:
        turn.decide(_ignored(run, diagnosis, time_ns, reason))
        return
    member = Member(diagnosis, plan.inhibited_by, diagnosis_ns(diagnosis))
    together_s = turn.state.settings.together_s
    incident = next((one for one in run.incidents if one.relates(member, together_s)), None)
    if incident is None:
        incident = _open(turn, run, diagnosis, plan, time_ns)
    else:
        incident.join(diagnosis, plan)
    incident.plan(
        diagnosis, plan, turn.written_ns, lambda action: any(one.stands(action) for one in run.incidents)
    )


def _open(turn: Turn, run: Run, diagnosis: Diagnosis, plan: Plan, time_ns: int) -> Incident:
    incident = open_incident(diagnosis, run.name)
    incident.join(diagnosis, plan)
    run.incidents.append(incident)
    turn.decide(of_incident(decisions.OPENED, incident, time_ns, diagnosis.summary))
    return incident


def _why_not(run: Run, diagnosis: Diagnosis, plan: Plan | None) -> str | None:
    if plan is None:
        return f"no rule {diagnosis.rule!r} in this worker's rule set"
    if diagnosis.attempt < run.attempt:
        return f"attempt {diagnosis.attempt} is over, attempt {run.attempt} runs"
    return "the run ended" if run.gone else None


def _ignored(run: Run, diagnosis: Diagnosis, time_ns: int, reason: str | None) -> Decision:
    return Decision(
        id=f"{diagnosis.id}/{decisions.IGNORED}",
        decision=decisions.IGNORED,
        run=diagnosis.run,
        attempt=diagnosis.attempt,
        time_ns=time_ns,
        run_name=run.name,
        reason=reason,
        severity=diagnosis.severity,
        diagnosis=diagnosis.id,
        rule=diagnosis.rule,
        rule_version=diagnosis.rule_version,
    )
