"""Real ``trainwarden`` processes for the tests: a stack, a demo, a small trainer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emitter.vocabulary import stack as discovery
from stream.children import Child, Children
from tests.fixtures import wait_for

CLI = [sys.executable, "-m", "stream.cli"]
START_S = 150.0
DEMO_S = 400.0

_TRAINER = """
import sys, emitter
emitter.init(run="small", run_id=sys.argv[1])
for step in range(int(sys.argv[2])):
    emitter.step(step, loss=1.0 / (step + 1), grad_norm=1.0, learning_rate=0.1)
emitter.shutdown()
"""


def gone(pid: int) -> bool:
    """Whether no process has this id, or only a zombie does."""
    try:
        return "(zombie)" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def environment(**extra: str) -> dict[str, str]:
    """Ours, without what would lead to another stack."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TRAINWARDEN_")}
    return {**env, **extra}


class Up:
    """A running ``trainwarden up --ports auto`` on a directory of its own."""

    def __init__(self, children: Children, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        argv = [*CLI, "up", "--data-dir", str(data_dir), "--ports", "auto", *options]
        self.child: Child = children.start("up", argv, env=environment())

    def ready(self) -> dict[str, Any]:
        """Wait for it; the content of ``stack.json``."""

        def stack() -> dict[str, Any] | None:
            assert self.child.ended() is None, f"up ended with {self.child.ended()}:\n{self.child.tail(60)}"
            return discovery.read_stack(self.data_dir)

        return wait_for(stack, START_S, "up to be ready") or {}


@contextmanager
def running_up(data_dir: Path, logs: Path, *options: str) -> Iterator[Up]:
    """``up``, stopped at the end however the test ends."""
    children = Children(logs)
    try:
        yield Up(children, data_dir, *options)
    finally:
        children.stop_all(60.0)


def train(data_dir: Path, run: str, steps: int) -> None:
    """A small instrumented trainer that finds the stack through the data directory."""
    subprocess.run(
        [sys.executable, "-c", _TRAINER, run, str(steps)],
        env=environment(**{discovery.ENV_DATA_DIR: str(data_dir)}), check=True, timeout=60,
    )  # fmt: skip


def run_demo(
    data_dir: Path,
    fault: str,
    steps: int,
    *,
    kafka: str | None = None,
    options: Sequence[str] = (),
    timeout: float = DEMO_S,
) -> tuple[int, dict[str, Any], str]:
    """``trainwarden demo --json`` as a process: exit code, the story ({} where it printed none), stderr."""
    argv = [*CLI, "demo", "--json", "--fault", fault, "--steps", str(steps), "--data-dir", str(data_dir)]
    done = subprocess.run(
        [*argv, *(["--kafka", kafka] if kafka else []), *options],
        env=environment(), capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    story: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return done.returncode, story, done.stderr
