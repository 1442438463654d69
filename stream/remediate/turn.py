"""One turn of the arbiter: the report it is about, the state, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emitter.vocabulary.commands import Command
from stream import placements
from stream.placements import Placed
from stream.records import Outgoing
from stream.remediate import decisions
from stream.remediate.decisions import Decision, of_incident, of_step
from stream.remediate.incidents import Incident
from stream.remediate.runs import Run
from stream.remediate.state import State
from stream.remediate.steps import Step, StepState

Made = Decision | Command | Outgoing
"""What comes out of a turn, in order; a command stands before the decision to send it."""


@dataclass
class Turn:
    """``written_ns``: the wall clock of the worker that wrote the report."""

    state: State
    written_ns: int
    made: list[Made] = field(default_factory=list)

    def decide(self, decision: Decision) -> None:
        """Put a decision into the ledger."""
        self.made.append(decision)

    def end(
        self, incident: Incident, step: Step, state: StepState, decision: str, time_ns: int,
        reason: str | None = None, **more: Any,
    ) -> None:  # fmt: skip
        """A step ends, or is held."""
        step.move(state)
        step.outcome, step.reason = decision, reason
        step.author = more.get("author") or step.author
        incident.note(time_ns, decision, f"{step.name}: {reason}" if reason else step.name)
        self.decide(of_step(decision, incident, step, time_ns, reason, **more))

    def send(self, run: Run, incident: Incident, step: Step, time_ns: int, reason: str | None = None) -> None:
        """The command goes out, for the first time or again."""
        again = step.times_sent > 0
        if not again:
            step.move(StepState.SENT)
            step.first_sent_ns = time_ns
            run.spent.setdefault(step.name, []).append(time_ns)
            del run.spent[step.name][:-1000]
        decision = decisions.RESENT if again else decisions.SENT
        step.sent_ns, step.times_sent, step.outcome = time_ns, step.times_sent + 1, decision
        incident.note(time_ns, decision, step.name)
        if step.command is not None:
            self.made.append(step.command)
        self.decide(of_step(decision, incident, step, time_ns, reason))

    def withdraw(self, incident: Incident, steps: list[Step], time_ns: int, reason: str) -> None:
        """These will not be done any more."""
        for step in steps:
            self.end(incident, step, StepState.DROPPED, decisions.WITHDRAWN, time_ns, reason)

    def escalate(self, incident: Incident, time_ns: int, reason: str) -> None:
        """A person has to look: the ledger says so, and the notification goes out."""
        incident.escalations += 1
        again = f"/{incident.escalations}"
        self.decide(of_incident(decisions.ESCALATED, incident, time_ns, reason, again))
        self.decide(of_incident(decisions.NOTIFIED, incident, time_ns, f"needs a person: {reason}", again))

    def publish(self, run: Run, incident: Incident, time_ns: int) -> None:
        """The incident as it stands now."""
        self.made.append(decisions.incident_record(incident, time_ns, run.gpu_count))

    def place(self, before: dict[str, Placed], run: Run) -> None:
        """Say where the ranks of a run are, where that changed."""
        now = placed(run)
        for host in sorted(before.keys() | now.keys()):
            if before.get(host) != now.get(host):
                self._place(host, run.id, now.get(host))

    def unplace(self, run: Run) -> None:
        """A run that is forgotten is nowhere."""
        for host, runs in list(self.state.hosts.items()):
            if run.id in runs:
                self._place(host, run.id, None)

    def _place(self, host: str, run: str, here: Placed | None) -> None:
        on_it = self.state.hosts.setdefault(host, {})
        on_it.pop(run, None)
        if here is not None:
            on_it[run] = here
        self.made.append(placements.encode(host, on_it))
        if not on_it:
            del self.state.hosts[host]


def placed(run: Run) -> dict[str, Placed]:
    """Where the ranks of a run are, by host; nowhere once it has finished."""
    hosts: dict[str, list[int]] = {}
    for rank, node in ({} if run.finished else run.nodes).items():
        hosts.setdefault(node, []).append(rank or 0)
    return {
        host: Placed(run.id, run.attempt, tuple(sorted(ranks)), run.name) for host, ranks in hosts.items()
    }
