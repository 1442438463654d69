"""The demo, while a part of the stack dies on the way and is started again: every link still holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.demo import fault as faults
from stream.demo import restarts
from tests.integration.processes import run_demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENT = """
pack: patient
rules:
  - id: loss-not-finite
    category: nan_loss
    summary: "Loss is {loss:g} at step {step}"
    on: train.step
    when: not isfinite(loss)
    severity: critical
    settle: 5s
    then:
      - save: {kind: forensic}
      - rollback: {lr_scale: 0.3}
"""
"""The shipped rule, but it lets five seconds pass between the diagnosis and the first command."""

BEFORE = "20"
"""A step long before the fault at 120: what is ended then is away when it comes."""


def play(tmp_path: Path, fault: str, *options: str) -> dict[str, float]:
    """The demo to its end; seconds to each hop and to each end of a part, in order."""
    code, story, said = run_demo(tmp_path / "data", fault, 240, options=options, timeout=800.0)
    failed = [check for check in story.get("checks", []) if not check["ok"]]
    assert (code, failed) == (0, []), said
    timings: dict[str, float] = story["timings_s"]
    print(timings)
    return timings


def test_worker_and_gateway_are_killed_in_the_middle(tmp_path: Path) -> None:
    """The worker before the fault, the gateway at its diagnosis; each command is carried out once."""
    print("scale: 2 deaths in one fault; the nightly tests have each death by itself, and after other faults")
    hops = list(play(tmp_path, "nan@120", *_restart(f"kill-worker@{BEFORE}", "kill-gateway@diagnosis")))

    assert hops.index("worker-loop killed") < hops.index("diagnosis")
    assert "gateway killed" in hops


@pytest.mark.nightly
@pytest.mark.parametrize("way", ["kill", "stop"])
@pytest.mark.parametrize("part", ["worker", "gateway", "history"])
def test_a_part_ends_before_the_diagnosis(tmp_path: Path, part: str, way: str) -> None:
    """It is away when the fault comes."""
    play(tmp_path, "nan@120", *_restart(f"{way}-{part}@{BEFORE}"))


@pytest.mark.nightly
@pytest.mark.parametrize("way", ["kill", "stop"])
@pytest.mark.parametrize("part", ["worker", "gateway", "history"])
def test_a_part_ends_between_diagnosis_and_command(tmp_path: Path, part: str, way: str) -> None:
    """What was concluded is still done, and once."""
    (tmp_path / "rules.yaml").write_text(PATIENT)
    options = ("--rules", str(tmp_path / "rules.yaml"), *_restart(f"{way}-{part}@diagnosis"))
    hops = list(play(tmp_path, "nan@120", *options))

    ended = next(hop for hop in hops if hop.endswith(("killed", "stopped")))
    assert hops.index("diagnosis") < hops.index(ended) < hops.index("save command")


@pytest.mark.nightly
@pytest.mark.parametrize(
    "fault",
    ["lr-spike@120", "hang@120", "crash@120", "oom@120", "disk-full@120", "kill-rank@120", "straggler@60"],
)
def test_the_worker_is_away_when_other_faults_come(tmp_path: Path, fault: str) -> None:
    """Also where it is the supervisor that closes the loop."""
    play(tmp_path, fault, *_restart(f"kill-worker@{BEFORE}"))


@pytest.mark.nightly
@pytest.mark.parametrize("fault", ["lr-spike@120", "hang@120", "crash@120"])
def test_the_gateway_ends_in_the_middle_of_other_faults(tmp_path: Path, fault: str) -> None:
    """At the diagnosis: what a hung or killed process had not sent before would be lost with it."""
    play(tmp_path, fault, *_restart("kill-gateway@diagnosis"))


@pytest.mark.parametrize(
    "text", ["worker@20", "kill-broker@20", "kill-worker@", "stop-worker@soon", "kill-worker"]
)
def test_a_restart_that_is_none_is_refused(text: str) -> None:
    """The message says what was expected and what came."""
    with pytest.raises(
        faults.UsageError, match="expected kill- or stop- with one of worker, gateway, history"
    ):
        restarts.parse([text])


def _restart(*texts: str) -> list[str]:
    return [option for text in texts for option in ("--restart", text)]
