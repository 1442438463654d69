"""Asks the zygote for processes, which tests then use like children of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from tests.fixtures import Child, _die_with_parent

START_S = 180.0


class Forks:
    """The zygote of this test run."""

    def __init__(self) -> None:
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.emitter.agreement.zygote"], env=env, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - as for every child of the tests
        )  # fmt: skip
        assert self._say() == "up"

    def start(self, argv: list[str], log: Path, env: Mapping[str, str]) -> Child:
        """One process more; its arguments are those of the trainer, or `store` and a port."""
        code = log.with_suffix(".code")
        log.touch()
        asked = {"argv": argv, "log": str(log), "env": dict(env), "code": str(code)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        return Forked(int(self._say()), log, code)

    def close(self) -> None:
        """End the zygote, and with it what it has forked."""
        self._process.kill()
        self._process.communicate()

    def _say(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Forked(Child):
    """A Child whose parent is the zygote."""

    def __init__(self, pid: int, log: Path, code: Path) -> None:
        self.log_path = log
        self.process = cast("Any", _Process(pid, code))


class _Process:
    """What Child needs of a Popen."""

    def __init__(self, pid: int, code: Path) -> None:
        self.pid, self._code = pid, code
        self.args = str(code)

    def poll(self) -> int | None:
        return int(self._code.read_text()) if self._code.exists() else None

    def wait(self, timeout: float = START_S) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.01)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
