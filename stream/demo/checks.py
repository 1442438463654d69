"""Every link of the loop, verified from the topics and the history. One function, one check."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from emitter.vocabulary import commands, diagnoses
from emitter.vocabulary.commands import Command
from stream.demo.facts import Checkpoint, Facts
from stream.demo.restarts import Restart
from stream.demo.story import MEAN_OF, Step, Story, first_bad, mean_loss

FELL_BY: Final = 0.5
OF_THE_MACHINE: Final = frozenset(["throughput_drop", "host_oom"])
"""Categories of what is true of a machine on which something else works, or needs memory, beside the demo."""
ON_THE_WAY_NS: Final = 2_000_000_000
"""A checkpoint younger than this when the command was sent may not have reached the stream yet."""


@dataclass(frozen=True)
class Ending:
    """How it ended: exit code, ``train.step`` calls the trainer counted, records the sink left unread."""

    exit_code: int
    steps_run: int | None
    last_step: int
    unread: int


@dataclass(frozen=True)
class Evidence:
    """All that the checks look at."""

    story: Story
    facts: Facts
    ending: Ending
    restarts: list[Restart] = field(default_factory=list)

    @property
    def bad(self) -> Step | None:
        """The first bad step, as the history has it."""
        return first_bad(self.facts.steps, self.story.fault)

    @property
    def before(self) -> list[Step]:
        """The steps before the fault, as first made (a rollback repeats some); all where there is none."""
        step = self.story.fault.step
        return [s for s in self.facts.steps if step is None or s.step < step][: step or None]

    def answered(self, action: str) -> tuple[Command, int] | None:
        """The first such command that both topic and history say succeeded, and when it was sent."""
        stored = {(row["command"], row["state"]) for row in self.facts.acks}
        for sent_ns, command in self.story.commands:
            ack = self.story.ack(command, commands.SUCCEEDED)
            if command.action == action and ack and (command.id, commands.SUCCEEDED) in stored:
                return command, sent_ns
        return None


@dataclass(frozen=True)
class Check:
    """One link: what must hold, whether it does, and what was seen."""

    name: str
    ok: bool
    seen: str


Rule = Callable[[Evidence], Check]


def verify(evidence: Evidence) -> list[Check]:
    """All checks for this fault, in the order of the loop."""
    from stream.demo import slow, supervised

    fault = evidence.story.fault
    ended = (parts_came_back,) if evidence.restarts else ()
    if fault.ranks > 1:
        return [check(evidence) for check in (*slow.checks(), *ended)]
    if fault.cause is not None:
        return [check(evidence) for check in (*supervised.checks(fault), *ended)]
    loop = HEALTHY if fault.step is None else CLOSED
    return [check(evidence) for check in (*loop, *ended, *ALWAYS)]


def loss_fell(evidence: Evidence) -> Check:
    steps = evidence.before
    first, last = mean_loss(steps[:MEAN_OF]), mean_loss(steps)
    return Check(
        "the loss fell while all was well", last < first - FELL_BY, f"from {first:.3f} to {last:.3f}"
    )


def fault_seen(evidence: Evidence) -> Check:
    bad = evidence.bad
    seen = "no bad step in train_steps"
    if bad is not None:
        seen = f"step {bad.step}: loss {bad.loss:.4g}, gradient norm {bad.grad_norm:.4g}"
    return Check("the fault is in the history", bad is not None, seen)


def diagnosed(evidence: Evidence) -> Check:
    fault = evidence.story.fault
    stored = {row["id"] for row in evidence.facts.diagnoses if row["state"] == diagnoses.FIRING}
    firing = [d for _, d in evidence.story.diagnoses if d.state == diagnoses.FIRING]
    right = [
        d for d in firing if d.rule in fault.rules and (d.step or 0) >= (fault.step or 0) and d.id in stored
    ]
    beside = [d for d in firing if d not in right and d.category in OF_THE_MACHINE]
    wrong = [d for d in firing if d not in right and d not in beside]
    seen = ", ".join(f"{d.rule} at step {d.step}" for d in firing if d not in beside) or "nothing"
    if beside:
        seen += f"; of this machine: {', '.join(f'{d.rule} at step {d.step}' for d in beside)}"
    return Check("the right rule fired, and no other", bool(right) and not wrong, seen)


def saved(evidence: Evidence) -> Check:
    name = "a forensic checkpoint was saved"
    answered = evidence.answered("save")
    forensic = [c for c in evidence.facts.checkpoints if c.kind == "forensic"]
    if answered is None or answered[0].args.get("kind") != "forensic" or not forensic:
        return Check(name, False, f"{_outcomes(evidence, 'save')}; forensic checkpoints: {len(forensic)}")
    path = Path(forensic[0].path)
    size = path.stat().st_size if path.is_file() else 0
    return Check(name, size > 0, f"step {forensic[0].step}, {size:,} bytes, {path}")


def rolled_back(evidence: Evidence) -> Check:
    name = "rolled back to the newest verified checkpoint from before the trouble"
    good, answered = ways_back(evidence), evidence.answered("rollback")
    if answered is None or not good:
        return Check(name, False, f"{_outcomes(evidence, 'rollback')}; {len(good)} checkpoints to go back to")
    command, sent_ns = answered
    chosen, before_step = command.args.get("checkpoint") or {}, command.args.get("before_step") or 0
    known = [c.step for c in good if c.step < before_step and c.ended_ns < sent_ns - ON_THE_WAY_NS]
    newest = {(c.step, c.path) for c in good if c.step >= max(known, default=0)}
    ok = (chosen.get("step"), chosen.get("path")) in newest and before_step >= (
        evidence.story.fault.step or 0
    )
    return Check(name, ok, f"to step {chosen.get('step')}, of steps {', '.join(str(c.step) for c in good)}")


def ways_back(evidence: Evidence) -> list[Checkpoint]:
    """The verified checkpoints that were finished before the bad value."""
    bad = evidence.bad
    return [
        c for c in evidence.facts.checkpoints
        if bad and c.kind == "regular" and c.verified and c.ended_ns < bad.time_ns
    ]  # fmt: skip


def after_rollback(evidence: Evidence) -> list[Step]:
    """The steps the trainer made after it had rolled back."""
    steps = evidence.facts.steps
    turn = next((i for i in range(1, len(steps)) if steps[i].step < steps[i - 1].step), len(steps))
    return steps[turn:] if evidence.answered("rollback") else []


def done_once(evidence: Evidence) -> Check:
    """A command may be sent again under its id; it runs once, and there is one for each action."""
    story = evidence.story
    ids = {(command.action, command.id) for _, command in story.commands}
    runs = [ack.command for _, ack in story.acks if ack.state == commands.RUNNING]
    ok = len(ids) == len({action for action, _ in ids}) and sorted(runs) == sorted(id for _, id in ids)
    seen = f"{len(ids)} commands, sent {len(story.commands)} times, run {len(runs)} times"
    return Check("each command was carried out once", ok, seen)


def parts_came_back(evidence: Evidence) -> Check:
    ended = [str(one) for one in evidence.restarts if one.done_ns is not None]
    return Check(
        "the parts that were to end did, and came back",
        len(ended) == len(evidence.restarts),
        ", ".join(ended) or "none",
    )


def learning_rate_lower(evidence: Evidence) -> Check:
    after = max((s.learning_rate for s in after_rollback(evidence)), default=math.nan)
    before = evidence.before[-1].learning_rate if evidence.before else math.nan
    return Check("the learning rate is lower afterwards", after < before, f"{before:.2g}, then {after:.2g}")


def went_on(evidence: Evidence) -> Check:
    steps = after_rollback(evidence)
    last = steps[-1].step if steps else None
    seen = f"{len(steps)} steps after the rollback, the last one {last}"
    return Check("training went on to the end", last == evidence.ending.last_step, seen)


def loss_recovered(evidence: Evidence) -> Check:
    before, final = mean_loss(evidence.before), mean_loss(after_rollback(evidence))
    return Check(
        "the loss ended below where it was", final < before, f"{before:.3f} before, {final:.3f} at the end"
    )


def no_diagnosis(evidence: Evidence) -> Check:
    on_topic, stored = len(evidence.story.diagnoses), len(evidence.facts.diagnoses)
    rules = sorted(
        {d.rule for _, d in evidence.story.diagnoses} | {row["rule"] for row in evidence.facts.diagnoses}
    )
    return Check(
        "no diagnosis at all", not on_topic and not stored,
        f"{on_topic} on the topic, {stored} in the history {' '.join(rules)}".rstrip(),
    )  # fmt: skip


def no_command(evidence: Evidence) -> Check:
    sent, stored = len(evidence.story.commands), len(evidence.facts.commands)
    return Check("no command", not sent and not stored, f"{sent} on the topic, {stored} in the history")


def exactly_once(evidence: Evidence) -> Check:
    counted, rows, distinct = evidence.ending.steps_run, evidence.facts.step_rows, len(evidence.facts.steps)
    return Check(
        "every step is in the history exactly once", counted == rows == distinct,
        f"{counted} counted by the trainer, {rows} rows, {distinct} sequence numbers",
    )  # fmt: skip


def history_complete(evidence: Evidence) -> Check:
    story, facts = evidence.story, evidence.facts
    missing: dict[str, set[Any]] = {
        "diagnoses": {(d.id, d.state) for _, d in story.diagnoses}
        - {(r["id"], r["state"]) for r in facts.diagnoses},
        "commands": {c.id for _, c in story.commands} - {row["id"] for row in facts.commands},
        "acks": {(a.command, a.state) for _, a in story.acks}
        - {(r["command"], r["state"]) for r in facts.acks},
    }
    seen = ", ".join(f"{len(items)} {name} missing" for name, items in missing.items())
    ok = not any(missing.values()) and not evidence.ending.unread
    return Check(
        "the history has all the topics had", ok, f"{seen}, {evidence.ending.unread} records not read"
    )


def trainer_ended_well(evidence: Evidence) -> Check:
    code, said = evidence.ending.exit_code, evidence.story.ended
    return Check(
        "the trainer ended well", code == 0 and said == "finished", f"exit code {code}, it said: {said}"
    )


def _outcomes(evidence: Evidence, action: str) -> str:
    """What became of the commands with this action."""
    ids = [c.id for _, c in evidence.story.commands if c.action == action]
    states = [f"{a.state} {a.reason or ''}".strip() for _, a in evidence.story.acks if a.command in ids]
    return f"{len(ids)} {action} commands, acks: {', '.join(states) or 'none'}"


CLOSED: tuple[Rule, ...] = (
    loss_fell, fault_seen, diagnosed, saved, rolled_back, done_once, learning_rate_lower, went_on,
    loss_recovered,
)  # fmt: skip
HEALTHY: tuple[Rule, ...] = (loss_fell, no_diagnosis, no_command)
ALWAYS: tuple[Rule, ...] = (trainer_ended_well, exactly_once, history_complete)
