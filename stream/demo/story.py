"""What happened, as it was seen on the topics. Pure: bytes of records go in, happenings come out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Final

from emitter.vocabulary import commands, diagnoses, events, topics
from emitter.vocabulary.commands import Ack, Command
from emitter.vocabulary.diagnoses import Diagnosis
from emitter.vocabulary.supervision import SUPERVISOR_ROLE
from stream.demo.fault import Fault
from stream.events import Event
from stream.otlp.events import events_from_logs
from stream.otlp.parse import parse_logs

TOPICS: Final = (
    topics.OTLP_LOGS, topics.TRAIN_DIAGNOSES, topics.REMEDIATION_COMMANDS, topics.REMEDIATION_ACKS,
)  # fmt: skip

MEAN_OF: Final = 10
"""Losses are compared as means of so many steps: one batch is noisy."""

_NORMAL_OF: Final = 50
_BAD_LOSS, _BAD_GRADIENT = 2.0, 10.0


@dataclass(frozen=True)
class Step:
    """One ``train.step`` event; ``time_ns`` is the trainer's."""

    seq: int
    step: int
    time_ns: int
    loss: float
    grad_norm: float
    learning_rate: float


@dataclass(frozen=True)
class Happening:
    """Something to tell at once. ``kind``: learning, bad, diagnosis, command, ack, recovery, lifecycle,
    supervisor."""

    kind: str
    time_ns: int
    text: str


def is_bad(step: Step, before: Iterable[Step]) -> bool:
    """Whether loss or gradient is not finite, or far from what was normal before."""
    if not (math.isfinite(step.loss) and math.isfinite(step.grad_norm)):
        return True
    normal = list(before)[-_NORMAL_OF:]
    return bool(normal) and (
        step.loss > _BAD_LOSS * median(s.loss for s in normal)
        or step.grad_norm > _BAD_GRADIENT * median(s.grad_norm for s in normal)
    )


def first_bad(steps: Iterable[Step], fault: Fault) -> Step | None:
    """The first step, in the order the trainer made them, that shows the fault."""
    if fault.step is None:
        return None
    before: list[Step] = []
    for step in steps:
        if step.step < fault.step:
            before.append(step)
        elif is_bad(step, before):
            return step
    return None


def mean_loss(steps: list[Step]) -> float:
    """Mean loss of the last few of these steps; NaN where there are none."""
    return fmean([step.loss for step in steps[-MEAN_OF:]] or [math.nan])


@dataclass
class Story:
    """What was seen of one run. Times of messages are when the broker got them (Unix nanoseconds)."""

    run: str
    fault: Fault
    steps: list[Step] = field(default_factory=list)
    diagnoses: list[tuple[int, Diagnosis]] = field(default_factory=list)
    commands: list[tuple[int, Command]] = field(default_factory=list)
    acks: list[tuple[int, Ack]] = field(default_factory=list)
    ended: str | None = None
    bad: Step | None = None
    recovered: Step | None = None
    loss_before: float = math.nan
    _since_rollback: list[Step] | None = None

    def observe(self, topic: str, payload: bytes, at_ns: int) -> Iterator[Happening]:
        """Take in one record; what is worth telling. Other runs' records are passed over."""
        if topic == topics.OTLP_LOGS:
            for batch in events_from_logs(parse_logs(payload)):
                if batch.run == self.run:
                    for event in batch.events:
                        who = batch.resources[event.resource]
                        if not who.rank:  # what all ranks say, the first one says
                            yield from self._event(event, who.role)
        elif topic == topics.TRAIN_DIAGNOSES:
            yield from self._diagnosis(diagnoses.decode(payload), at_ns)
        elif topic == topics.REMEDIATION_COMMANDS:
            yield from self._command(commands.decode_command(payload), at_ns)
        elif topic == topics.REMEDIATION_ACKS:
            yield from self._ack(commands.decode_ack(payload), at_ns)

    def command(self, action: str) -> tuple[int, Command] | None:
        """When the first command with this action was sent, and the command."""
        return next((found for found in self.commands if found[1].action == action), None)

    def ack(self, command: Command, state: str) -> tuple[int, Ack] | None:
        """When this command was first acknowledged with this state, and the acknowledgement."""
        return next(
            (ack for ack in self.acks if ack[1].command == command.id and ack[1].state == state), None
        )

    def _event(self, event: Event, role: str | None) -> Iterator[Happening]:
        if event.name == events.LIFECYCLE and role == SUPERVISOR_ROLE:
            yield _of_supervisor(event)
            return
        if event.name == events.LIFECYCLE:
            state = str(event.values.get(events.LIFECYCLE_STATE))
            self.ended = state if state in events.ENDED_STATES else self.ended
            yield Happening("lifecycle", event.time, f"the trainer says: {state}")
        step = step_of(event)
        if step is None:
            return
        self.steps.append(step)
        yield from self._went_bad(step)
        yield from self._recovered(step)

    def _went_bad(self, step: Step) -> Iterator[Happening]:
        if self.bad is not None or self.fault.step is None or step.step < self.fault.step:
            return
        before = [s for s in self.steps[:-1] if s.step < self.fault.step]
        if is_bad(step, before):
            self.bad, self.loss_before = step, mean_loss(before)
            yield Happening(
                "bad", step.time_ns,
                f"step {step.step}: loss {step.loss:.4g}, gradient norm {step.grad_norm:.4g} "
                f"(loss was {self.loss_before:.3f})",
            )  # fmt: skip

    def _recovered(self, step: Step) -> Iterator[Happening]:
        if self._since_rollback is None or self.recovered is not None:
            return
        self._since_rollback.append(step)
        if len(self._since_rollback) >= MEAN_OF and mean_loss(self._since_rollback) < self.loss_before:
            self.recovered = step
            yield Happening(
                "recovery", step.time_ns,
                f"step {step.step}: loss {mean_loss(self._since_rollback):.3f}, below the "
                f"{self.loss_before:.3f} before the fault; learning rate {step.learning_rate:.2g}",
            )  # fmt: skip

    def _diagnosis(self, diagnosis: Diagnosis, at_ns: int) -> Iterator[Happening]:
        if diagnosis.run == self.run:
            self.diagnoses.append((at_ns, diagnosis))
            yield Happening("diagnosis", at_ns, f"{diagnosis.rule} {diagnosis.state}: {diagnosis.summary}")

    def _command(self, command: Command, at_ns: int) -> Iterator[Happening]:
        if command.run == self.run:
            self.commands.append((at_ns, command))
            yield Happening("command", at_ns, f"{command.action} {_brief(command.args)}")

    def _ack(self, ack: Ack, at_ns: int) -> Iterator[Happening]:
        if ack.run != self.run:
            return
        self.acks.append((at_ns, ack))
        action = next((c.action for _, c in self.commands if c.id == ack.command), "?")
        if action == "rollback" and ack.state == commands.SUCCEEDED:
            self._since_rollback = []
        reason = f": {ack.reason}" if ack.reason else ""
        yield Happening("ack", at_ns, f"{action} {ack.state}{reason} {_brief(ack.detail)}".rstrip())


def _of_supervisor(event: Event) -> Happening:
    values = event.values
    about = values.get(events.STACK_GROUPS) or values.get(events.SUPERVISOR_REASON)
    about = about or values.get(events.SUPERVISOR_RESUME) or ""
    text = f"{values.get(events.LIFECYCLE_STATE)}: {about}".rstrip(": ")
    return Happening("supervisor", event.time, text)


def step_of(event: Event) -> Step | None:
    """The event as a Step, if it is a ``train.step`` with our three numbers."""
    names = ("loss", "grad_norm", "learning_rate")
    numbers = [event.values.get(name) for name in names]
    if event.name != events.STEP or event.seq is None or event.step is None:
        return None
    if not all(isinstance(number, (int, float)) for number in numbers):
        return None
    loss, grad_norm, learning_rate = (float(number) for number in numbers if number is not None)
    return Step(event.seq, event.step, event.time, loss, grad_norm, learning_rate)


def _brief(fields: dict[str, object]) -> str:
    def text(value: object) -> str:
        if isinstance(value, dict):
            return "{" + _brief(value) + "}"
        if isinstance(value, float):
            return f"{value:.4g}"
        return str(value).rsplit("/", 1)[-1]

    return " ".join(f"{name}={text(value)}" for name, value in fields.items() if value is not None)
