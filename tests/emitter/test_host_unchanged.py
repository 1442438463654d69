"""What the trainer would have without us it has with us: losses to the bit, and all process-wide state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.emitter.receiver import Receiver

SCRIPT = """
import atexit, gc, json, locale, logging, os, random, signal, sys, threading, time, warnings
import numpy, torch
import emitter

torch.manual_seed(7)
numpy.random.seed(7)
random.seed(7)
# Whoever parses arguments gets what was meant for the trainer.
sys.argv = ["train.py", "--datadir", "x", "--help"]

def state():
    return {
        "argv": sys.argv, "path": sys.path, "python": repr(random.getstate()),
        "numpy": repr(numpy.random.get_state()), "torch": torch.get_rng_state().tolist(),
        "signals": [repr(signal.getsignal(number)) for number in signal.valid_signals()
                    if number is not signal.SIGTERM],
        "blocked": repr(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "wakeup": signal.set_wakeup_fd(-1), "locale": locale.setlocale(locale.LC_ALL),
        "handlers": repr(logging.root.handlers), "level": logging.root.level,
        "class": repr(logging.getLoggerClass()), "disabled": logging.root.manager.disable,
        "raises": logging.raiseExceptions, "warnings": repr(warnings.filters),
        "show": repr(warnings.showwarning),
        "threads": torch.get_num_threads(), "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "dtype": repr(torch.get_default_dtype()), "environ": sorted(os.environ.items()),
        "directory": os.getcwd(), "gc": (gc.get_threshold(), gc.isenabled()),
        "switch": sys.getswitchinterval(), "recursion": sys.getrecursionlimit(), "umask": umask(),
        "stdout": repr(sys.stdout), "stderr": repr(sys.stderr), "trace": repr(sys.gettrace()),
        "profile": repr(sys.getprofile()), "unraisable": repr(sys.unraisablehook),
        "breakpoint": repr(sys.breakpointhook),
        "cuda": torch.cuda.is_initialized(),
    }

def umask():
    found = os.umask(0)
    os.umask(found)
    return found

def hooks():
    found = signal.getsignal(signal.SIGTERM), sys.excepthook, threading.excepthook, sys.exit
    return [repr(hook) for hook in (*found, logging.getLogRecordFactory())]

def train():
    model = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Dropout(0.1), torch.nn.ReLU(),
                                torch.nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for step in range(60):
        inputs = torch.randn(32, 16) + float(numpy.random.rand()) + random.random()
        optimizer.zero_grad()
        loss = model(inputs).square().mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with emitter.phase("eval"):
            time.sleep(0.002)
        emitter.step(step, {"train/loss": loss}, norm=norm, lr=0.01)
        losses.append(loss.item().hex())
    return losses

before, hooked = state(), hooks()
if os.environ["WITH"] == "1":
    emitter.init("host", run_id="host", endpoint=os.environ["URL"], resources_s=0.02, heartbeat_s=0.02,
                 flush_s=0.01, **json.loads(os.environ["MORE"]))
    during = state()
else:
    during = before
losses = train()
emitter.shutdown()
print(json.dumps({
    "changed": sorted(name for name in before if during[name] != before[name]),
    "left": sorted(name for name in before if state()[name] != before[name] and name not in
                   ("python", "numpy", "torch")),
    "hooks": hooks() == hooked, "losses": losses, "end": state()["torch"],
}))
"""


def trained(tmp_path: Path, receiver: Receiver, *, on: bool, **more: Any) -> dict[str, Any]:
    """What such a training says of itself."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    env = {
        **os.environ, "URL": receiver.url, "PYTHONPATH": str(Path.cwd()), "WITH": str(int(on)),
        "MORE": json.dumps(more), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(script)], env=env, text=True, capture_output=True, timeout=150, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_losses_are_the_same_to_the_bit(tmp_path: Path, receiver: Receiver, broker: str) -> None:
    """Same seed with and without the emitter, all its threads busy, commands on: every loss is identical, no
    process-wide state differs, and after shutdown the hooks are gone.
    """
    without = trained(tmp_path, receiver, on=False)
    with_it = trained(tmp_path, receiver, on=True, commands=f"kafka://{broker}")

    assert len(receiver.records("train.step")) == 60
    assert len(receiver.records("train.resource")) > 1
    assert with_it["changed"] == []
    # torch itself changes what is loaded late; we change nothing.
    assert with_it["left"] == without["left"]
    assert with_it["hooks"]
    assert len(set(with_it["losses"])) > 50
    assert with_it["losses"] == without["losses"]
    assert with_it["end"] == without["end"]


NAMES = (
    "stream", "rules", "events", "queue", "vocabulary", "topics", "probes", "settings", "metrics", "commands",
    "testing", "kafka", "otlp", "grpc", "integrations", "checkpoints", "rank", "session", "utils", "config",
    "common", "data", "model", "requests", "yaml", "faust", "torch_data", "sampler",
)  # fmt: skip


@pytest.mark.parametrize("way", ["python train.py", "python -m train", "python -m package.train"])
def test_files_of_the_trainer_that_have_our_names(tmp_path: Path, receiver: Receiver, way: str) -> None:
    """Files beside the trainer under names of ours, and even of the standard library's ``queue``, do no harm:
    nothing of ours imports them.
    """
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name in NAMES:
        for place in (tmp_path, folder):
            (place / f"{name}.py").write_text(f"import sys\nprint('{name} was imported')\n")
    train = textwrap.dedent(
        """
        import os
        import emitter
        emitter.init("names", run_id="names", endpoint=os.environ["URL"], resources_s=0.05)
        for step in range(20):
            emitter.step(step, loss=1.0)
        print("trained")
        """
    )
    for place in (tmp_path, folder):
        (place / "train.py").write_text(train)
    env = {**os.environ, "URL": receiver.url, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, *way.split()[1:]]
    done = subprocess.run(
        command, env=env, cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr, done.stdout) == (0, "", "trained\n")
    assert len(receiver.records("train.step")) == 20
