"""The example for Hugging Face, as its first lines say to run it, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream.offline.finding import find
from stream.offline.streams import Ordered

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_example_writes_what_diagnose_reads(tmp_path: Path) -> None:
    """A real process: steps, evaluations, checkpoints that were read back, and how it ended."""
    env = {**os.environ, "TRAINWARDEN_ENDPOINT": f"file:{tmp_path}/telemetry", "PYTHONPATH": str(ROOT),
           "TRAINWARDEN_STRICT": "0"}  # fmt: skip
    ran = subprocess.run(
        [sys.executable, ROOT / "examples/train_hf.py", "--steps", "10", "--out", tmp_path / "checkpoints"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr

    (group,) = find([tmp_path / "telemetry"], None, [])
    assert group.run == "gpt2-tiny"
    points = list(Ordered(group, lambda error: pytest.fail(str(error))))
    steps = [point for point in points if point.name == "train.step"]
    assert [point.step for point in steps] == list(range(1, 11))
    assert [point.step for point in steps if "loss" in point.values] == [5, 10]
    assert [point.step for point in points if point.name == "train.eval"] == [10]
    (saved,) = [point for point in points if point.name == "checkpoint.save"]
    assert saved.values["checkpoint.verified"]
    assert [p.values["lifecycle.state"] for p in points if p.name == "train.lifecycle"] == [
        "started", "finished",
    ]  # fmt: skip
