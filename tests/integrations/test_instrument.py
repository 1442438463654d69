"""Training loops that do not know of the emitter, and what ``run --instrument`` puts in front of them."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import emitter
from emitter import _api, instrument
from emitter.instrument import torch_steps
from emitter.testing import Captured


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """As in a process that has just imported torch; telemetry goes to files in this folder."""
    monkeypatch.setattr(torch_steps, "_pid", 0)
    monkeypatch.setattr(_api, "_give_way", None)
    for name in [name for name in os.environ if name.startswith("TRAINWARDEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRAINWARDEN_ENDPOINT", f"file:{tmp_path}")
    monkeypatch.setenv("TRAINWARDEN_RESOURCES", "off")
    monkeypatch.setenv("TRAINWARDEN_HOOKS", "off")
    handle = torch_steps.install(importlib.import_module("torch.optim.optimizer"))
    yield tmp_path
    handle.remove()
    emitter.shutdown()


def train(count: int) -> torch.Tensor:
    """A loop as anybody would write it."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    for _ in range(count):
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
    return weight.detach()


def told(folder: Path) -> list[dict[str, Any]]:
    """The steps in the files: their attributes, and the run."""
    emitter.shutdown()
    found = []
    for file in sorted(folder.glob("*logs*.jsonl")):
        for line in file.read_text().splitlines():
            for group in json.loads(line)["resourceLogs"]:
                who = values(group["resource"])
                for scope in group["scopeLogs"]:
                    found += [
                        {"run": who["train.run.name"], **values(record)}
                        for record in scope["logRecords"]
                        if record.get("eventName") == "train.step"
                    ]
    return found


def values(holder: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: next(iter(pair["value"].values())) for pair in holder.get("attributes", [])}


def test_the_first_step_begins_a_session(hooked: Path) -> None:
    """Every step, with its rate and the norm of its gradients; the weights are those without us."""
    weight = train(3)
    found = told(hooked)

    assert [int(one["train.step"]) for one in found] == [0, 1, 2]
    assert [float(one["learning_rate"]) for one in found] == [0.1] * 3
    assert [float(one["grad_norm"]) for one in found] == pytest.approx([10.0, 8.0, 6.4])
    assert torch.equal(weight, train(3))


def test_who_calls_init_is_left_alone(hooked: Path, captured: Captured) -> None:
    """Nothing is added to a session of the trainer's own."""
    train(2)

    assert captured.named("train.step") == []
    assert _api._give_way is None


def test_a_later_init_wins(hooked: Path) -> None:
    """Steps before it are ours, those after it are the trainer's alone."""
    train(2)
    emitter.init(run="mine", endpoint=f"file:{hooked}")
    train(2)
    emitter.step(7, loss=1.0)
    found = told(hooked)

    mine = [one for one in found if one["run"] == "mine"]
    assert [int(one["train.step"]) for one in mine] == [7]
    assert len(found) == 3


def test_a_torch_that_is_too_old_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """One warning, and training goes on."""
    with caplog.at_level(logging.WARNING, "emitter"):
        torch_steps.install(object())

    assert [r.message for r in caplog.records if "2.1 is needed" in r.message]


def python(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A process below ``--instrument``, with ``tmp_path`` behind us on the path."""
    root = Path(emitter.__file__).parents[1]
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    return subprocess.run(
        [sys.executable, "-c", code], env=instrument.environment(environ), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_a_process_without_torch_notices_nothing(tmp_path: Path) -> None:
    """No module of ours is loaded, our folder is not on the path, and the next sitecustomize has run."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.hello = 'user'")
    done = python(
        tmp_path,
        "import sys; print(sys.hello, 'emitter' in sys.modules, sys.modules['sitecustomize'].__file__); "
        f"print({str(instrument.FOLDER)!r} in sys.path)",
    )

    assert done.stdout.split() == ["user", "False", str(tmp_path / "sitecustomize.py"), "False"]
    assert done.stderr == ""


def test_what_another_sitecustomize_raises_is_told_by_python(tmp_path: Path) -> None:
    """As without us."""
    (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('theirs')")
    done = python(tmp_path, "print('goes on')")

    assert (done.returncode, done.stdout) == (0, "goes on\n")
    assert "Error in sitecustomize" in done.stderr
    assert "theirs" in done.stderr


def test_our_trouble_is_one_line(tmp_path: Path) -> None:
    """A Python without the emitter: the trainer goes on, and it is said why nothing is seen of it."""
    package = tmp_path / "torch" / "optim"
    package.mkdir(parents=True)
    for name in ("torch/__init__.py", "torch/optim/__init__.py"):
        (tmp_path / name).write_text("")
    (package / "optimizer.py").write_text("made = True")
    done = python(
        tmp_path,
        "import sys; sys.modules['emitter'] = None; import torch.optim.optimizer as o; print(o.made)",
    )

    assert (done.returncode, done.stdout) == (0, "True\n")
    assert "trainwarden run --instrument:" in done.stderr
    assert "is not observed: ModuleNotFoundError" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_folder_is_on_the_path_once() -> None:
    """Also where a launcher passes the path on to another one."""
    once = instrument.environment({"PYTHONPATH": "/a"})

    assert once == instrument.environment(once)
    assert once["PYTHONPATH"] == f"{instrument.FOLDER}{os.pathsep}/a"
