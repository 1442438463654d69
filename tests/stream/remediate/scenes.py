"""Runs under remediation, driven by hand: rules, a clock, and what was decided."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from emitter.vocabulary import cloudevents, diagnoses
from emitter.vocabulary import events as vocabulary
from emitter.vocabulary.commands import Ack, Command
from emitter.vocabulary.control import Control, RunMode, Silence
from emitter.vocabulary.diagnoses import Diagnosis
from stream.events import Event
from stream.records import Outgoing
from stream.remediate import reports
from stream.remediate.arbiter import Arbiter
from stream.remediate.checkpoints import checkpoint_of
from stream.remediate.decisions import Decision
from stream.remediate.facts import Fact
from stream.remediate.incidents import Incident
from stream.remediate.plan import plan_of
from stream.remediate.reports import Report, Source, Word
from stream.remediate.runs import Run
from stream.remediate.settings import Settings
from stream.remediate.turn import Made
from stream.rulelang import load_text

START_NS = cloudevents.parse_rfc3339("2026-01-01T00:00:00Z")
RUN = "run-1"

RULES = """
pack: scenes
rules:
  - id: gradient-explosion
    category: grad_explosion
    summary: "norm {grad_norm}"
    on: train.step
    when: grad_norm > 10
    cooldown: 10m
    severity: warning
    then:
      - save: {}
      - rollback: {lr_scale: 0.5}
      - pause: {if_unresolved: 5m}
  - id: loss-not-finite
    category: nan_loss
    summary: "loss {loss}"
    on: train.step
    when: not isfinite(loss)
    cooldown: 10m
    severity: critical
    then:
      - save: {}
      - rollback: {lr_scale: 0.1}
  - id: slow
    category: throughput_drop
    summary: "step {step_time}"
    on: train.step
    when: step_time > 10
    severity: info
    settle: 10s
    then:
      - dump_stacks: {}
  - id: quiet
    category: plateau
    summary: "loss {loss}"
    on: train.step
    when: loss > 10
    severity: info
    mode: shadow
    then:
      - save: {}
      - stop: {}
  - id: told
    category: unreachable
    summary: "loss {loss}"
    on: train.step
    when: loss > 100
    severity: warning
    then:
      - notify: {}
  - id: hung
    category: hang
    summary: "no progress"
    on: train.step
    when: loss > 1000
    severity: critical
    then:
      - restart: {}
  - id: broken-card
    category: xid
    summary: "xid"
    on: train.step
    when: loss > 10000
    severity: critical
    then:
      - exclude_node: {}
  - id: timeout
    category: nccl_timeout
    summary: "timeout"
    on: train.step
    when: loss > 10000
    severity: critical
    inhibited_by: [broken-card]
  - id: best
    category: milestone
    summary: "best"
    on: train.step
    when: loss < 1
    severity: info
    then:
      - save: {}
"""

RULE_SET = load_text(RULES, Path("scenes.yaml"))
CATEGORY = {rule.id: rule.category for rule in RULE_SET.rules}


def log_record(report: Report) -> bytes:
    """The report as it lies in the log."""
    return reports.encode(report).value


class Scene:
    """One arbiter and its log; ``now_s`` is both the clock and the wall clock until they part."""

    def __init__(self, mode: str = "act", **settings: Any) -> None:
        self.settings = Settings(mode=mode, **settings)
        self.arbiter = Arbiter(self.settings)
        self.wall_ns = START_NS
        self.log: list[Report] = []
        self.all: list[Made] = []
        self._offset = 0
        self.tick(0)

    def give(self, report: Report) -> list[Decision]:
        """Put a report into the log, and let the arbiter take it as it comes out of there."""
        self.log.append(report)
        back = reports.decode(log_record(report))
        assert back is not None
        made = self.arbiter.take(back)
        self.all += made
        return [one for one in made if isinstance(one, Decision)]

    def _source(self, topic: str = "t") -> Source:
        self._offset += 1
        return Source(topic, 0, self._offset, 1)

    def _report(self, **content: Any) -> list[Decision]:
        return self.give(Report(self._source(), self.wall_ns, **content))

    @property
    def made(self) -> list[Decision]:
        """All decisions so far."""
        return [one for one in self.all if isinstance(one, Decision)]

    def tick(self, at_s: float, partition: int = 0) -> list[Decision]:
        """The clock and the wall clock stand at this many seconds."""
        time_ns = START_NS + int(at_s * 1e9)
        self.wall_ns = max(self.wall_ns, time_ns)
        self._offset += 1
        source = Source("c", partition, self._offset, 1)
        return self.give(Report(source, self.wall_ns, time_ns))

    def fire(self, rule: str = "gradient-explosion", at_s: float = 0.0, **changes: Any) -> list[Decision]:
        """A diagnosis begins to fire at this time."""
        return self._diagnosis(replace(firing(rule, at_s), **changes))

    def resolve(self, rule: str = "gradient-explosion", at_s: float = 0.0, **changes: Any) -> list[Decision]:
        """It ceases to fire."""
        return self._diagnosis(replace(firing(rule, at_s), state=diagnoses.RESOLVED, **changes))

    def _diagnosis(self, diagnosis: Diagnosis) -> list[Decision]:
        rule = RULE_SET.by_id(diagnosis.rule)
        plan = plan_of(rule) if rule is not None else None
        return self._report(run=diagnosis.run, diagnosis=diagnosis.to_json(), plan=plan)

    def ack(self, command: Command | None, state: str, **more: Any) -> list[Decision]:
        """A rank answers."""
        assert command is not None
        more.setdefault("attempt", command.attempt)
        answer = Ack(command.id, command.run, state, cloudevents.rfc3339(self.wall_ns), **more)
        return self._report(run=command.run, ack=answer.to_json())

    def lifecycle(self, state: str, run: str = RUN, **sender: Any) -> list[Decision]:
        """A rank starts or ends."""
        fact = Fact(sender.pop("attempt", 0), self.wall_ns, state=state, **sender)
        return self._report(run=run, facts=(fact,))

    def gpu(self, name: str, run: str = RUN, **sender: Any) -> list[Decision]:
        """A rank computes on this GPU."""
        fact = Fact(sender.pop("attempt", 0), self.wall_ns, gpu=name, **sender)
        return self._report(run=run, facts=(fact,))

    def checkpoint(self, step: int, at_s: float, **values: Any) -> list[Decision]:
        """A checkpoint was saved and verified."""
        all_values = {
            vocabulary.CHECKPOINT_VERIFIED: True, vocabulary.CHECKPOINT_KIND: "regular",
            vocabulary.CHECKPOINT_STEP: step, vocabulary.CHECKPOINT_PATH: f"/c/{step}", **values,
        }  # fmt: skip
        end = START_NS + int(at_s * 1e9)
        event = Event(vocabulary.CHECKPOINT_SAVE, end - 1, values=all_values, end=end, status="ok")
        found = checkpoint_of(event)
        facts = (Fact(0, end - 1, checkpoint=found),) if found is not None else ()
        return self._report(run=RUN, facts=facts)

    def say(
        self, kind: str, *, key: str | None = "k1", refused: str | None = None, **content: Any
    ) -> list[Decision]:
        """An operator says something, now."""
        time = content.pop("time", cloudevents.rfc3339(self.wall_ns))
        if kind == "reset_breaker" and content.get("command") is None:
            tripped = self.arbiter.state.tripped
            content["command"] = tripped.command if tripped is not None else "none"
        said = Control(kind, content.pop("author", "ann"), time, **content)
        return self._report(word=Word(said.id, said.to_json(), key, refused))

    def silence(self, ends_s: float, **about: Any) -> list[Decision]:
        """An operator begins a silence."""
        ends = cloudevents.rfc3339(START_NS + int(ends_s * 1e9))
        return self.say("silence", silence=Silence("s1", ends=ends, **about))

    def mode(self, run: str, mode: str | None, ends_s: float = 0.0, **more: Any) -> list[Decision]:
        """An operator sets the mode of runs, or takes that back."""
        ends = cloudevents.rfc3339(START_NS + int(ends_s * 1e9)) if mode is not None else None
        return self.say("mode", run_mode=RunMode(run, mode, ends), **more)

    def run(self, run: str = RUN) -> Run:
        """The run as the arbiter knows it."""
        return self.arbiter.state.runs[run]

    @property
    def incident(self) -> Incident | None:
        """The first incident of the run that is open."""
        run = self.arbiter.state.runs.get(RUN)
        return run.incidents[0] if run is not None and run.incidents else None

    @property
    def sent(self) -> list[Command]:
        """Commands that went out, with repeats."""
        return [one for one in self.all if isinstance(one, Command)]

    @property
    def published(self) -> list[dict[str, Any]]:
        """The incidents as they were published, in order."""
        found = [json.loads(one.value) for one in self.all if isinstance(one, Outgoing) and one.value]
        return [one["data"] for one in found if one.get("type") == cloudevents.INCIDENT]

    def story(self) -> list[str]:
        """What was decided, as ``decision action``."""
        return [f"{d.decision} {d.action}" if d.action else d.decision for d in self.made]


def firing(rule: str, at_s: float) -> Diagnosis:
    """A firing diagnosis of one of the rules above."""
    return Diagnosis(
        id=f"{rule}-{at_s:g}", rule=rule, category=CATEGORY.get(rule, "plateau"), severity="warning",
        state=diagnoses.FIRING, run=RUN,
        time=cloudevents.rfc3339(START_NS + int(at_s * 1e9)), summary=f"{rule} fires", step=120,
        evidence={"since_step": 118}, rule_version="v1",
    )  # fmt: skip
