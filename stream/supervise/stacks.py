"""Stacks of running processes, taken from outside with py-spy: also while C code holds the GIL."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from emitter.vocabulary.supervision import Pulse
from stream.supervise.clusters import Stack

TIMEOUT_S: Final = 20.0
AT_ONCE: Final = 8
MOST: Final = 128
_PTRACE_SCOPE: Final = Path("/proc/sys/kernel/yama/ptrace_scope")
MISSING: Final = "py-spy is not installed: `pip install 'trainwarden[supervisor]'`"


@dataclass(frozen=True)
class Dump:
    """What was taken, and what could not be: one sentence for each reason."""

    stacks: list[Stack] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def find() -> str | None:
    """The program: beside this Python, else on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")


def take(trainer: int | None, pulses: Sequence[Pulse], program: str | None = None) -> Dump:
    """All ranks of the node and the Python processes below the trainer, several at once."""
    program = program or find()
    if program is None:
        return Dump(troubles=[MISSING])
    ranks = {
        pulse.pid: pulse.rank for pulse in pulses if pulse.ended is None and psutil.pid_exists(pulse.pid)
    }
    pids = [*ranks, *(pid for pid in _below(trainer) if pid not in ranks)][:MOST]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda pid: _one(program, pid, ranks.get(pid)), pids))
    troubles = dict.fromkeys(result for result in results if isinstance(result, str))
    return Dump([result for result in results if isinstance(result, Stack)], list(troubles))


def _below(trainer: int | None) -> list[int]:
    """The command itself and what it started, where it is Python."""
    if trainer is None:
        return []
    try:
        first = psutil.Process(trainer)
        return [one.pid for one in (first, *first.children(recursive=True)) if _is_python(one)]
    except psutil.Error:
        return []


def _is_python(process: psutil.Process) -> bool:
    try:
        return "python" in process.exe()
    except (psutil.Error, OSError):
        return False


def _one(program: str, pid: int, rank: int | None) -> Stack | str | None:
    """The stack, why there is none, or None for a process that has ended meanwhile."""
    trouble: str | None = None
    for more in (["--native"], []):
        stack, trouble = _dump([program, "dump", "--json", "--pid", str(pid), *more], pid, rank)
        if stack is not None or trouble is None:
            return stack
    return trouble


def _dump(argv: list[str], pid: int, rank: int | None) -> tuple[Stack | None, str | None]:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return None, f"py-spy gave no stack of process {pid} within {TIMEOUT_S:g} s"
    except OSError as error:
        return None, f"{argv[0]}: {error.strerror}"
    if done.returncode == 0:
        try:
            return Stack(pid, rank, json.loads(done.stdout)), None
        except ValueError as error:
            return None, f"py-spy answered with something that is not JSON: {error}"
    if not psutil.pid_exists(pid):
        return None, None
    return None, _why(pid, done.stderr)


def _why(pid: int, said: str) -> str:
    if "permission denied" in said.lower() or "not permitted" in said.lower():
        return f"stacks cannot be taken: ptrace is not permitted here ({_scope()})"
    first = next((line for line in said.splitlines() if line.strip()), "it did not say why")
    return f"py-spy cannot read process {pid}: {first.removeprefix('Error: ')}"


def _scope() -> str:
    try:
        scope = f"kernel.yama.ptrace_scope is {_PTRACE_SCOPE.read_text().strip()}; "
    except OSError:
        scope = ""
    return f"{scope}a container needs the capability SYS_PTRACE, another user's process needs root"
