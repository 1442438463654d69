"""What an actor runs, what it refuses, and what it says: with real programs."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emitter.signing import TrustedKeys
from emitter.vocabulary import cloudevents, commands
from emitter.vocabulary.commands import Ack, Command, Reason, Target
from stream.actor import template
from stream.actor.duty import Duty, Task
from tests.keys import Pair

ECHO = (sys.executable, "-c", "import sys; print(*sys.argv[1:])", "{node}", "{run}", "{args.why}")


def _command(**more: Any) -> Command:
    now = time.time_ns()
    known: dict[str, Any] = {
        "id": "c1", "run": "gpt-7", "action": "exclude_node", "issued": cloudevents.rfc3339(now),
        "expires": cloudevents.rfc3339(now + 10**11), "args": {"why": "ecc"}, "target": Target(node="node-3"),
        "reason": Reason(rule="ecc-errors"),
    }  # fmt: skip
    return Command(**{**known, **more})


class Bench:
    """An actor with a key that it trusts, and everything it said."""

    def __init__(self, folder: Path, *words: str, **more: Any) -> None:
        self.pair, self.said = Pair(), list[Ack]()
        trusted = TrustedKeys(self.pair.trust(folder / "trusted"))
        task = Task("slurm", ("exclude_node",), words or ECHO, **more)
        self.duty = Duty(task, trusted, self.said.append)

    def take(self, command: Command, pair: Pair | None = None) -> Ack | None:
        payload = command.encode()
        return self.duty.take(payload, (pair or self.pair).headers(payload))

    @property
    def states(self) -> list[str]:
        return [ack.state for ack in self.said]


def test_a_command_runs_the_program(tmp_path: Path) -> None:
    """Received, running, succeeded, under the actor's name, with the program's output."""
    bench = Bench(tmp_path)
    ack = bench.take(_command())
    assert ack is not None
    assert bench.states == ["received", "running", "succeeded"]
    assert (ack.executor, ack.rank, ack.detail) == (
        "actor:slurm", None, {"exit_code": 0, "output": "node-3 gpt-7 ecc"},
    )  # fmt: skip


def test_twice_is_once(tmp_path: Path) -> None:
    """A command that ended is acknowledged again with what it ended with, after a restart too."""
    log = tmp_path / "log"
    bench = Bench(tmp_path, sys.executable, "-c", f"open({str(log)!r}, 'a').write('x')")
    first = bench.take(_command())
    assert bench.take(_command()) == first
    again = Bench(tmp_path, "false")
    again.duty.recall([b"{", *(ack.encode() for ack in bench.said)])
    assert again.take(_command()) == first
    assert log.read_text() == "x"


def test_what_was_interrupted_is_not_begun_again(tmp_path: Path) -> None:
    """An actor that died while its program ran does not know; it says so and leaves it."""
    bench = Bench(tmp_path)
    before = Ack("c1", "gpt-7", "running", cloudevents.rfc3339(0), executor="actor:slurm")
    other = replace(before, state="succeeded", executor="actor:else")
    bench.duty.recall([before.encode(), other.encode()])
    ack = bench.take(_command())
    assert ack is not None
    assert (ack.state, ack.reason) == ("failed", "interrupted")


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"expires": "2020-01-01T00:00:00Z"}, "expired", "expired"),
        ({"issued": "2099-01-01T00:00:00Z", "expires": "2099-01-01T00:00:00Z"}, "rejected", "clock_skew"),
        ({"issued": "noon"}, "rejected", "bad_time"),
        ({"target": Target()}, "rejected", "no_node"),
        ({"target": Target(node="--all")}, "rejected", "bad_node"),
        ({"target": Target(node="a; reboot")}, "rejected", "bad_node"),
        ({"run": "../../etc"}, "rejected", "bad_run"),
        ({"args": {}}, "rejected", "no_args.why"),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], state: str, reason: str) -> None:
    """Said in an acknowledgement, and nothing runs."""
    bench = Bench(tmp_path)
    ack = bench.take(_command(**changes))
    assert ack is not None
    assert (bench.states, ack.state, ack.reason) == (["received", state], state, reason)


def test_whose_word_it_takes(tmp_path: Path) -> None:
    """Unsigned, by a stranger, altered: refused. Other actions, other runs: not its business."""
    bench = Bench(tmp_path, runs=("gpt-*",))
    payload = _command().encode()
    assert bench.duty.take(payload, {}).reason == "unsigned"  # type: ignore[union-attr]
    assert bench.take(_command(id="c2"), Pair()).reason == "unknown_key"  # type: ignore[union-attr]
    altered = _command(id="c3", args={"why": "x"}).encode()
    assert bench.duty.take(altered, bench.pair.headers(payload)).reason == "bad_signature"  # type: ignore[union-attr]
    said = len(bench.said)
    assert bench.take(_command(action="save")) is None
    assert bench.take(_command(run="llama")) is None
    assert bench.duty.take(b"{", {}) is None
    assert len(bench.said) == said


@pytest.mark.parametrize(
    ("words", "more", "reason"),
    [
        (("false",), {}, "exit code 1"),
        (("/nowhere/program",), {}, "cannot be started: No such file or directory"),
        (("sleep", "60"), {"timeout_s": 0.2}, "did not end within 0.2 s"),
    ],
)
def test_programs_that_fail(
    tmp_path: Path, words: tuple[str, ...], more: dict[str, Any], reason: str
) -> None:
    """Failed, and why."""
    ack = Bench(tmp_path, *words, **more).take(_command())
    assert ack is not None
    assert (ack.state, ack.reason) == (commands.FAILED, reason)


def test_a_template_that_nothing_can_fill() -> None:
    """Said at the start, with what there is."""
    with pytest.raises(template.TemplateError, match=r"got \{nodes\}") as caught:
        template.check(["drain", "{nodes}"])
    assert "{node}, {run}" in str(caught.value)
    template.check(["{node}:{args.why}", "plain", "{}", "{ json }"])
