"""Child processes that never outlive us: started with a log file each, stopped in reverse order.

Start them from a thread that lives as long as they should: Linux ties a child to the thread that made it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GRACE_S: Final = 15.0
"""How long a child may take to end by itself after SIGTERM."""

_LIFELINE: Final = Path(__file__).with_name("lifeline.py")
_POLL_S: Final = 0.05
_TAIL_BYTES: Final = 16_384


@dataclass(frozen=True)
class Child:
    """One child process. ``log`` is the file with its stdout and stderr."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def ended(self) -> str | None:
        """None while it runs, else how it ended: ``exit code 3`` or ``signal SIGKILL``."""
        code = self.process.poll()
        if code is None:
            return None
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


class Children:
    """The children of this process, in the order in which they were started."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: list[Child] = []

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Child:
        """Start one; its log is ``<logs>/<name>.log``, the one before it ``<name>.log.1``."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_name(f"{name}.log.1"))
        with log.open("wb") as output:
            # A session of its own: Ctrl-C reaches only us, and we stop the children in order.
            process = subprocess.Popen(
                [sys.executable, "-I", str(_LIFELINE), str(os.getpid()), *argv],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=env, cwd=cwd, start_new_session=True,
            )  # fmt: skip
        child = Child(name, log, process)
        self.running.append(child)
        return child

    def first_ended(self) -> Child | None:
        """A child that ended by itself, if any did."""
        return next((child for child in self.running if child.process.poll() is not None), None)

    def stop(
        self, child: Child, grace_s: float = GRACE_S, forced: Callable[[], bool] = lambda: False
    ) -> None:
        """SIGTERM, then SIGKILL when the grace is over or ``forced`` says so; returns when it is gone."""
        if not forced():
            child.process.terminate()
        deadline = time.monotonic() + grace_s
        while child.process.poll() is None and time.monotonic() < deadline and not forced():
            time.sleep(_POLL_S)
        child.process.kill()
        child.process.wait()
        self.running.remove(child)

    def stop_all(self, grace_s: float = GRACE_S, forced: Callable[[], bool] = lambda: False) -> None:
        """Stop all, the last one started first."""
        for child in reversed(list(self.running)):
            self.stop(child, grace_s, forced)
