"""A run under remediation, driven by hand: rules, a clock, and what was decided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from emitter.vocabulary import cloudevents, diagnoses
from emitter.vocabulary import events as vocabulary
from emitter.vocabulary.commands import Ack, Command
from emitter.vocabulary.diagnoses import Diagnosis
from stream.events import VERSION, Event, Resource, Tick
from stream.remediate.decisions import Decision
from stream.remediate.policy import Policy
from stream.remediate.state import State
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
"""


class Scene:
    """One partition with one source; ``now_s`` is both the clock and the wall clock until they part."""

    def __init__(self, mode: str = "act") -> None:
        self.policy = Policy(load_text(RULES, Path("scenes.yaml")), mode)
        self.state = State()
        self.wall_ns = START_NS
        self.made: list[Decision] = []
        self.tick(0)

    def _note(self, made: list[Decision]) -> list[Decision]:
        self.made += made
        return made

    def tick(self, at_s: float) -> list[Decision]:
        """The clock and the wall clock stand at this many seconds."""
        time_ns = START_NS + int(at_s * 1e9)
        self.wall_ns = max(self.wall_ns, time_ns)
        return self._note(self.policy.tick(self.state, Tick(VERSION, 0, 0, 1, time_ns), self.wall_ns))

    def fire(self, rule: str = "gradient-explosion", at_s: float = 0.0, **changes: Any) -> list[Decision]:
        """A diagnosis begins to fire at this time."""
        diagnosis = replace(firing(rule, at_s), **changes)
        return self._note(self.policy.diagnosis(self.state, diagnosis, self.wall_ns))

    def resolve(self, rule: str = "gradient-explosion", at_s: float = 0.0) -> list[Decision]:
        """It ceases to fire."""
        diagnosis = replace(firing(rule, at_s), state=diagnoses.RESOLVED)
        return self._note(self.policy.diagnosis(self.state, diagnosis, self.wall_ns))

    def ack(self, command: Command | None, state: str, **more: Any) -> list[Decision]:
        """A rank answers."""
        assert command is not None
        answer = Ack(command.id, command.run, state, cloudevents.rfc3339(self.wall_ns), **more)
        return self._note(self.policy.ack(self.state, answer, self.wall_ns))

    def lifecycle(self, state: str, **sender: Any) -> list[Decision]:
        """A rank starts or ends."""
        event = Event(vocabulary.LIFECYCLE, self.wall_ns, values={vocabulary.LIFECYCLE_STATE: state})
        return self._event(event, Resource(RUN, **sender))

    def checkpoint(self, step: int, at_s: float, **values: Any) -> list[Decision]:
        """A checkpoint was saved and verified."""
        all_values = {
            vocabulary.CHECKPOINT_VERIFIED: True, vocabulary.CHECKPOINT_KIND: "regular",
            vocabulary.CHECKPOINT_STEP: step, vocabulary.CHECKPOINT_PATH: f"/c/{step}", **values,
        }  # fmt: skip
        end = START_NS + int(at_s * 1e9)
        event = Event(vocabulary.CHECKPOINT_SAVE, end - 1, values=all_values, end=end, status="ok")
        return self._event(event, Resource(RUN))

    def _event(self, event: Event, sender: Resource) -> list[Decision]:
        run = self.state.run(RUN)
        return self._note(self.policy.event(self.state, run, event, sender, self.wall_ns))

    @property
    def sent(self) -> list[Command]:
        """Commands that went out, with repeats."""
        return [d.command for d in self.made if d.decision in ("sent", "resent") and d.command is not None]

    def story(self) -> list[str]:
        """What was decided, as ``decision action``."""
        return [f"{d.decision} {d.action}" if d.action else d.decision for d in self.made]


def firing(rule: str, at_s: float) -> Diagnosis:
    """A firing diagnosis of one of the rules above."""
    category = {"gradient-explosion": "grad_explosion", "loss-not-finite": "nan_loss"}.get(rule, "plateau")
    return Diagnosis(
        id=f"{rule}-{at_s:g}", rule=rule, category=category, severity="warning", state=diagnoses.FIRING,
        run=RUN,
        time=cloudevents.rfc3339(START_NS + int(at_s * 1e9)), summary=f"{rule} fires", step=120,
        evidence={"since_step": 118},
    )  # fmt: skip
