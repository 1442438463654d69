"""The trainer as the supervisor holds it: started through the keeper, its signals, its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from emitter.vocabulary import supervision
from stream.supervise.output import Stream

_KEEPER: Final = Path(__file__).with_name("keeper.py")
SWEEP_S: Final = 10.0
OUTPUT_S: Final = 5.0
"""How long what was written last may take to come through after the end."""


def marked(mark: str) -> list[int]:
    """Processes of ours that were started with this ``NAME=value`` in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            name, _, value = mark.partition("=")
            if process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


class Trainer:
    """One launch of the command. ``ended(status, left)`` is called once, from a thread of ours, with the
    status of waitpid(2), None where the keeper was killed, and how many processes were left behind.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        streams: Sequence[Stream],
        ended: Callable[[int | None, int], None],
    ) -> None:
        self._streams, self._ended = streams, ended
        self._mark = f"{supervision.ENV_PULSE}={environment[supervision.ENV_PULSE]}"
        self._started = threading.Event()
        self._over = threading.Event()
        self.pid: int | None = None
        control, self._control = os.pipe()
        self._status, status = os.pipe()
        try:
            self.keeper = subprocess.Popen(
                [sys.executable, "-I", str(_KEEPER), str(control), str(status), *command],
                env=dict(environment), pass_fds=(control, status), start_new_session=True,
                stdout=streams[0].child_side, stderr=streams[1].child_side,
            )  # fmt: skip
        finally:
            for descriptor in (control, status):
                os.close(descriptor)
        for stream in streams:
            stream.start()
        self._thread = threading.Thread(target=self._listen, name="trainwarden-trainer", daemon=True)
        self._thread.start()
        self._started.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the command itself; its keeper does it, so that it never meets another process."""
        self._say(f"signal {number}")

    def end(self) -> None:
        """SIGTERM to all of its processes, SIGKILL after a grace."""
        self._say("end")

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        self._say("kill")

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False when the time was over before."""
        return self._over.wait(timeout_s)

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._control, f"{line}\n".encode())

    def _sweep(self) -> int:
        """The keeper was killed: end what it held, known by the variables that we gave it."""
        until, swept = time.monotonic() + SWEEP_S, set()
        while (found := marked(self._mark)) and time.monotonic() < until:
            for pid in found:
                swept.add(pid)
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        return len(swept)

    def _listen(self) -> None:
        status, left = None, 0
        with os.fdopen(self._status) as lines:
            for line in lines:
                fact = json.loads(line)
                if "pid" in fact:
                    self.pid = fact["pid"]
                    self._started.set()
                if "status" in fact:
                    status, left = fact["status"], fact["left"]
        self._started.set()
        self.keeper.wait()
        if status is None:
            left = self._sweep()
        for stream in self._streams:
            stream.finish(OUTPUT_S)
        os.close(self._control)
        self._over.set()
        self._ended(status, left)
