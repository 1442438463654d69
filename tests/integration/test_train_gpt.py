"""The example trainer on its own, without a stack."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from emitter.vocabulary import stack as discovery
from stream import resources
from tests.integration.processes import environment

SCRIPT = resources.path("examples") / "train_gpt.py"


def _run(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # A data directory without a stack: the emitter finds none.
    env = environment(**{discovery.ENV_DATA_DIR: str(tmp_path / "none"), "OMP_NUM_THREADS": "1"})
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(tmp_path / "out"), *options],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip


@pytest.fixture
def example() -> Iterator[ModuleType]:
    """The script as a module, on one thread: more of them wait for each other where the machine is busy."""
    spec = importlib.util.spec_from_file_location("train_gpt", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_gpt"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    threads = module.torch.get_num_threads()
    module.torch.set_num_threads(1)
    yield module
    module.torch.set_num_threads(threads)


def test_the_instrumentation_is_eight_lines() -> None:
    """init, step, checkpoint, two handlers, going on where a supervisor says, and watch for several ranks."""
    calls = [
        line.strip() for line in SCRIPT.read_text().splitlines() if re.search(r"(?<!`)\bemitter\.", line)
    ]
    assert len(calls) == 8, calls


@pytest.mark.slow
def test_it_trains_without_a_stack(tmp_path: Path) -> None:
    """No stack: one warning, and the loss falls all the same; checkpoints are there and load."""
    done = _run(tmp_path, "--steps", "60")
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    losses = [float(text) for text in re.findall(r"loss +([\d.]+) ", done.stdout)]
    assert losses[0] > 4.5
    assert losses[-1] < 3.0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["steps_run"] == 60
    assert sorted(path.name for path in (tmp_path / "out").glob("*.pt")) == [
        "step-000025.pt",
        "step-000050.pt",
    ]


@pytest.mark.slow
def test_a_wrong_fault_is_refused(tmp_path: Path) -> None:
    """The error names what was expected."""
    done = _run(tmp_path, "--fault", "meteor@5")
    assert done.returncode == 2
    assert "expected none|lr-spike@STEP|lr-ramp@STEP|bad-batch@STEP|nan@STEP|hang@STEP" in done.stderr


@pytest.mark.slow
def test_a_rollback_restores_weights_and_the_fault_stays_away(tmp_path: Path, example: ModuleType) -> None:
    """Back over the step of the fault: finite again, a lower learning rate, and nothing goes wrong anew."""
    trainer = example.Trainer(example.Text(), example.Fault.parse("nan@26"), tmp_path)
    trainer.train(28)
    assert trainer.losses[26] != trainer.losses[26]
    path = tmp_path / "step-000025.pt"
    command = SimpleNamespace(args={"checkpoint": {"step": 25, "path": str(path)}, "lr_scale": 0.5})
    trainer.step = 27
    assert trainer.roll_back(command)["to_step"] == 25
    trainer.step += 1
    trainer.train(30)
    assert all(loss == loss and loss < 6 for loss in trainer.losses[28:])
    assert trainer.peak_lr == example.LEARNING_RATE / 2
    assert trainer.steps_run == 28 + 5


@pytest.mark.slow
def test_a_rollback_without_a_checkpoint_fails_clearly(tmp_path: Path, example: ModuleType) -> None:
    """Nothing to go back to is an error for the acknowledgement, not a guess."""
    trainer = example.Trainer(example.Text(), example.Fault.parse("none"), tmp_path)
    with pytest.raises(LookupError, match="no checkpoint from before the trouble to go back to"):
        trainer.roll_back(SimpleNamespace(args={"checkpoint": None}))
