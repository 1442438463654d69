"""Every check of the demo: holds on a loop that closed, and fails on the very link that did not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emitter.vocabulary import commands
from emitter.vocabulary.commands import Ack, Command
from emitter.vocabulary.diagnoses import Diagnosis
from stream.demo.checks import Ending, Evidence, verify
from stream.demo.facts import Checkpoint, Facts
from stream.demo.fault import SLOW_RANK, Fault
from stream.demo.restarts import Restart
from stream.demo.story import Step, Story
from stream.demo.summary import timings

S = 1_000_000_000
RUN = "run-1"


def _step(seq: int, step: int, loss: float, lr: float = 0.1) -> Step:
    return Step(seq, step, seq * S, loss, 1.0 if loss < 10 else 500.0, lr)


def _command(action: str, args: dict[str, Any]) -> Command:
    return Command(f"id-{action}", RUN, action, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", args=args)


def _closed(folder: Path) -> Evidence:
    """100 steps, bad at 81, rolled back from 83 to 75, then on to 99."""
    healthy = [_step(n, n, 4.0 - 0.02 * n) for n in range(81)]
    bad = [_step(n, n, 1e4) for n in range(81, 84)]
    after = [_step(84 + n, 75 + n, 2.2, lr=0.03) for n in range(25)]
    forensic = folder / "forensic.pt"
    forensic.write_bytes(b"weights")
    story = Story(RUN, Fault("lr-spike", 80), ended="finished")
    story.diagnoses = [
        (82 * S, Diagnosis("d1", "loss-spike", "loss_spike", "warning", "firing", RUN, "", "", step=82))
    ]
    way_back = {"before_step": 81, "checkpoint": {"step": 75, "path": "75.pt"}}
    for at, command in ((82, _command("save", {"kind": "forensic"})), (83, _command("rollback", way_back))):
        story.commands.append((at * S, command))
        story.acks += [
            (at * S, Ack(command.id, RUN, one, "")) for one in (commands.RUNNING, commands.SUCCEEDED)
        ]
    facts = Facts(
        steps=[*healthy, *bad, *after],
        step_rows=109,
        checkpoints=[
            Checkpoint(50, "50.pt", "regular", True, 50 * S),
            Checkpoint(75, "75.pt", "regular", True, 75 * S),
            Checkpoint(82, str(forensic), "forensic", True, 82 * S),
        ],
        diagnoses=[{"id": "d1", "rule": "loss-spike", "state": "firing", "step": 82}],
        commands=[{"id": command.id, "action": command.action} for _, command in story.commands],
        acks=[
            {"command": ack.command, "state": ack.state, "reason": "", "step": 82} for _, ack in story.acks
        ],
    )
    return Evidence(story, facts, Ending(exit_code=0, steps_run=109, last_step=99, unread=0))


def _failed(evidence: Evidence) -> list[str]:
    return [check.name for check in verify(evidence) if not check.ok]


def test_all_checks_hold_on_a_loop_that_closed(tmp_path: Path) -> None:
    """The starting point of the cases below."""
    assert _failed(_closed(tmp_path)) == []


@pytest.mark.parametrize(
    ("rule", "category"), [("step-time-rise", "throughput_drop"), ("host-oom", "host_oom")]
)
def test_what_the_machine_does_is_said_and_breaks_no_link(tmp_path: Path, rule: str, category: str) -> None:
    """Something else works, or has used up the memory: no fault of the loop, nor its first answer."""
    evidence = _closed(tmp_path)
    beside = Diagnosis("d0", rule, category, "warning", "firing", RUN, "", "", step=60)
    evidence.story.bad = evidence.bad
    told = timings(evidence.story)
    evidence.story.diagnoses.insert(0, (60 * S, beside))
    evidence.facts.diagnoses.append({"id": "d0", "rule": rule, "state": "firing", "step": 60})

    assert _failed(evidence) == []
    assert timings(evidence.story) == told
    assert f"of this machine: {rule} at step 60" in str(verify(evidence))


FELL = "the loss fell while all was well"
SEEN = "the fault is in the history"
FIRED = "the right rule fired, and no other"
SAVED = "a forensic checkpoint was saved"
BACK = "rolled back to the newest verified checkpoint from before the trouble"
LOWER = "the learning rate is lower afterwards"
ON = "training went on to the end"
BELOW = "the loss ended below where it was"
WELL = "the trainer ended well"
ONCE = "every step is in the history exactly once"
CARRIED = "each command was carried out once"
PARTS = "the parts that were to end did, and came back"
ALL = "the history has all the topics had"

Spoil = Callable[[Evidence], Evidence]


def _facts(**changes: Callable[[Any], Any]) -> Spoil:
    def spoil(evidence: Evidence) -> Evidence:
        changed = {name: change(getattr(evidence.facts, name)) for name, change in changes.items()}
        return replace(evidence, facts=replace(evidence.facts, **changed))

    return spoil


def _ending(**changes: Any) -> Spoil:
    return lambda evidence: replace(evidence, ending=replace(evidence.ending, **changes))


def _story(change: Callable[[Story], object]) -> Spoil:
    def spoil(evidence: Evidence) -> Evidence:
        change(evidence.story)
        return evidence

    return spoil


def _losses(from_seq: int, to_seq: int, **changes: float) -> Spoil:
    return _facts(
        steps=lambda steps: [replace(s, **changes) if from_seq <= s.seq <= to_seq else s for s in steps]
    )


def _args(position: int, **args: Any) -> Spoil:
    def change(story: Story) -> None:
        at_ns, command = story.commands[position]
        story.commands[position] = (at_ns, replace(command, args={**command.args, **args}))

    return _story(change)


def _other_rule(story: Story) -> None:
    story.diagnoses.append((83 * S, replace(story.diagnoses[0][1], id="d2", rule="no-heartbeat")))


def _unverified(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    return [replace(c, verified=c.step != 75) for c in checkpoints]


def _without_file(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    return [replace(c, path=f"{c.path}.gone") if c.kind == "forensic" else c for c in checkpoints]


CASES: dict[str, tuple[Spoil, set[str]]] = {
    "the loss never fell": (_losses(0, 80, loss=2.4), {FELL}),
    "the fault did nothing": (_losses(81, 83, loss=2.4, grad_norm=1.0), {SEEN, BACK}),
    "no diagnosis": (_story(lambda story: story.diagnoses.clear()), {FIRED}),
    "a diagnosis before the fault": (
        _story(lambda s: s.diagnoses.append((1, replace(s.diagnoses[0][1], step=70)))),
        {FIRED},
    ),
    "another rule too": (_story(_other_rule), {FIRED, ALL}),
    "a diagnosis the history lacks": (_facts(diagnoses=lambda rows: []), {FIRED, ALL}),
    "the save was not forensic": (_args(0, kind="regular"), {SAVED}),
    "the save is not on disk": (_facts(checkpoints=_without_file), {SAVED}),
    "the save was not acknowledged": (_story(lambda story: story.acks.pop(1)), {SAVED}),
    "back to an old checkpoint": (_args(1, checkpoint={"step": 50, "path": "50.pt"}), {BACK}),
    "back to a checkpoint that is not verified": (_facts(checkpoints=_unverified), {BACK}),
    "back to nothing": (_args(1, checkpoint=None), {BACK}),
    "before a step from before the fault": (_args(1, before_step=60), {BACK}),
    "the rollback failed": (_facts(acks=lambda rows: rows[:2]), {BACK, LOWER, ON, BELOW, ALL}),
    "a command carried out twice": (_story(lambda story: story.acks.append(story.acks[0])), {CARRIED}),
    "a command that nobody carried out": (_story(lambda story: story.acks.pop(0)), {CARRIED}),
    "a part that did not end": (
        lambda evidence: replace(evidence, restarts=[Restart("gateway", True, 20)]),
        {PARTS},
    ),
    "the same learning rate": (_losses(84, 108, learning_rate=0.1), {LOWER}),
    "it stopped early": (_facts(steps=lambda steps: steps[:-1]), {ON, ONCE}),
    "the loss stayed high": (_losses(84, 108, loss=2.6), {BELOW}),
    "the trainer crashed": (_ending(exit_code=1), {WELL}),
    "the trainer never said so": (_story(lambda story: setattr(story, "ended", None)), {WELL}),
    "a step twice": (_facts(step_rows=lambda rows: rows + 1), {ONCE}),
    "a step missing": (_ending(steps_run=110), {ONCE}),
    "the trainer counted nothing": (_ending(steps_run=None), {ONCE}),
    "a command missing": (_facts(commands=lambda rows: rows[1:]), {ALL}),
    "records left unread": (_ending(unread=3), {ALL}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_check_of_a_broken_link_fails(case: str, tmp_path: Path) -> None:
    """And the checks of links that held do not."""
    spoil, expected = CASES[case]
    assert set(_failed(spoil(_closed(tmp_path)))) == expected


def test_a_healthy_run_must_be_silent(tmp_path: Path) -> None:
    """Without a fault, a diagnosis or a command fails its check wherever it shows."""
    closed = _closed(tmp_path)
    steps = [_step(n, n, 4.0 - 0.02 * n) for n in range(100)]
    quiet = Evidence(
        Story(RUN, Fault(), ended="finished"), Facts(steps, 100, [], [], [], []), Ending(0, 100, 99, 0)
    )
    assert _failed(quiet) == []
    in_history = replace(quiet, facts=replace(quiet.facts, diagnoses=closed.facts.diagnoses))
    assert _failed(in_history) == ["no diagnosis at all"]
    quiet.story.commands = closed.story.commands
    assert _failed(quiet) == ["no command", ALL]


def _slow() -> Evidence:
    """220 steps of four ranks; one is named, told to people, and fast again."""
    story = Story(RUN, Fault("straggler", 60), ended="finished")
    summary = f"The forward pass of rank {SLOW_RANK} (node) takes 0.3 s"
    firing = Diagnosis(
        "d1", "straggler-compute", "straggler", "warning", "firing", RUN, "", summary, rank=SLOW_RANK, step=90
    )
    story.diagnoses = [(90 * S, firing), (160 * S, replace(firing, state="resolved"))]
    facts = Facts(
        steps=[_step(n, n, 4.0 - 0.015 * n) for n in range(220)],
        step_rows=220,
        checkpoints=[],
        diagnoses=[{"id": "d1", "rule": firing.rule, "state": one} for one in ("firing", "resolved")],
        commands=[],
        acks=[],
        ranks=[3, 0, 1, 2],
        decisions=[{"decision": "notified", "rule": firing.rule, "action": "notify", "at_ns": 100 * S}],
        incidents=[{"rule": firing.rule, "state": "resolved", "summary": summary}],
    )
    return Evidence(story, facts, Ending(exit_code=0, steps_run=220, last_step=219, unread=0))


def _named(rank: int) -> Spoil:
    def change(story: Story) -> None:
        story.diagnoses = [(at_ns, replace(one, rank=rank)) for at_ns, one in story.diagnoses]

    return _story(change)


NAMED = "the slow rank was named, and no other"
INCIDENT = "one incident has it as its cause, with the rank's name"
TOLD = "people were told once, as the rule wants"
OVER = "it was over when the rank was as fast as before"

SLOW_CASES: dict[str, tuple[Spoil, set[str]]] = {
    "nothing": (lambda evidence: evidence, set()),
    "a rank did not train": (_facts(ranks=lambda ranks: ranks[1:]), {"all ranks trained"}),
    "another rank was named": (_named(SLOW_RANK + 1), {NAMED}),
    "nothing was said": (_story(lambda story: story.diagnoses.clear()), {NAMED, OVER}),
    "another rule too": (_story(_other_rule), {"no rule fired that had no reason to", ALL}),
    "no incident": (_facts(incidents=lambda rows: []), {INCIDENT}),
    "two incidents": (_facts(incidents=lambda rows: rows * 2), {INCIDENT}),
    "nobody was told": (_facts(decisions=lambda rows: []), {TOLD}),
    "told twice": (_facts(decisions=lambda rows: rows * 2), {TOLD}),
    "it fires on": (_story(lambda story: story.diagnoses.pop()), {OVER}),
    "it stopped early": (_ending(last_step=240), {ON}),
}


@pytest.mark.parametrize("case", SLOW_CASES)
def test_the_check_of_a_broken_link_fails_for_a_slow_rank(case: str) -> None:
    """Each link by itself."""
    spoil, expected = SLOW_CASES[case]
    assert set(_failed(spoil(_slow()))) == expected
