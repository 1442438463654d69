"""The demo itself, in short variants: real stack, real trainer, and every link verified."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.demo import fault as faults
from tests.fixtures import ENV_TEST_KAFKA
from tests.integration.processes import run_demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> str | None:
    """host:port of a Kafka to play on; None for the embedded broker."""
    return request.getfixturevalue("broker") if os.environ.get(ENV_TEST_KAFKA) else None


@pytest.mark.parametrize("fault", ["lr-spike@80", pytest.param("nan@80", marks=pytest.mark.nightly)])
def test_the_loop_closes(tmp_path: Path, kafka: str | None, fault: str) -> None:
    """A fault is diagnosed, a forensic save and a rollback follow, and the run recovers."""
    code, story, said = run_demo(tmp_path, fault, 200, kafka=kafka)
    failed = [check for check in story.get("checks", []) if not check["ok"]]
    assert (code, failed) == (0, []), said
    assert story["ok"] is True
    assert [command["action"] for command in story["commands"]] == ["save", "rollback"]
    hops = list(story["timings_s"])
    assert hops[0] == "diagnosis"
    assert {"save handler running", "rollback handler running"} <= set(hops)
    assert story["history_rows"]["train_steps"] > 600


@pytest.mark.parametrize("fault", ["hang@80", pytest.param("crash@80", marks=pytest.mark.nightly)])
def test_a_run_that_dies_is_started_again(tmp_path: Path, kafka: str | None, fault: str) -> None:
    """Found from outside, ended if need be, and resumed from the newest verified checkpoint, by nobody."""
    code, story, said = run_demo(tmp_path, fault, 150, kafka=kafka)
    failed = [check for check in story.get("checks", []) if not check["ok"]]
    assert (code, failed) == (0, []), said
    hops = ["ended", "started again", "first step again"]
    assert list(story["timings_s"]) == (["found", "stacks taken"] if "hang" in fault else []) + hops
    assert story["commands"] == []
    told = [one["rule"] for one in story["diagnoses"] if one["state"] == "firing"]
    assert len(told) == len(set(told))  # each once: not by the rank and from its output


@pytest.mark.nightly
@pytest.mark.parametrize("fault", ["oom@80", "disk-full@80", "kill-rank@80"])
def test_other_ends_of_a_run(tmp_path: Path, kafka: str | None, fault: str) -> None:
    """The same for memory, disk and SIGKILL; the supervisor's own tests have shorter forms."""
    code, story, said = run_demo(tmp_path, fault, 150, kafka=kafka)
    failed = [check for check in story.get("checks", []) if not check["ok"]]
    assert (code, failed) == (0, []), said


@pytest.mark.nightly
def test_the_slow_rank_of_four_is_named(tmp_path: Path, kafka: str | None) -> None:
    """Four gloo ranks below torchrun: who is slow is found, told to people, and over when it is over."""
    code, story, said = run_demo(tmp_path, "straggler@60", 220, kafka=kafka)
    failed = [check for check in story.get("checks", []) if not check["ok"]]
    assert (code, failed) == (0, []), said
    assert list(story["timings_s"]) == ["diagnosis", "people told", "resolved"]


def test_a_healthy_run_raises_no_diagnosis(tmp_path: Path, kafka: str | None) -> None:
    """Without a fault there is no diagnosis and no command."""
    code, story, said = run_demo(tmp_path, "none", 150, kafka=kafka)
    failed = [check for check in story.get("checks", []) if not check["ok"]]
    assert (code, failed) == (0, []), said
    assert story["diagnoses"] == story["commands"] == story["acks"] == []


@pytest.mark.parametrize("fault", ["lr-spike", "lr-spike@", "meteor@80", "lr-spike@-1", "lr-spike@\u0662"])
def test_a_fault_that_is_none_is_refused(fault: str) -> None:
    """The message says what was expected and what came."""
    with pytest.raises(
        faults.UsageError, match="expected none, or lr-spike, lr-ramp, bad-batch, nan, hang, crash"
    ):
        faults.parse(fault, None)


def test_a_fault_needs_steps_before_and_after_it() -> None:
    """A fault too early or too late for the loop to close is refused."""
    assert faults.parse("nan@80", None) == (faults.Fault("nan", 80), 280)
    for fault in ("nan@10", "nan@190"):
        with pytest.raises(faults.UsageError, match="expected a step from 60 to 140 in a run of 200 steps"):
            faults.parse(fault, 200)
