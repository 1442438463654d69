"""``trainwarden run`` as a real process around small real trainers, and what it told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fixtures import Child

TIMEOUT_S = 170.0
FAST = ("--backoff", "0.05")
HANGS = ("--hang-after", "4", *FAST)
"""For tests of hangs alone: a machine that is busy may let any other trainer stand still for as long."""

STEPS = """
import json, os, pathlib, sys, time, emitter
emitter.init(run="small", resources=False)
resume = emitter.resume_path()
start = int(pathlib.Path(resume).read_text()) if resume else 0
here = pathlib.Path(sys.argv[1])

def save(step):
    path = here / f"{step}.txt"
    with emitter.checkpoint(step, path) as ckpt:
        path.write_text(str(step))
        ckpt.written()
        ckpt.verified()

def go(until, pause=0.02):
    for step in range(start, until):
        time.sleep(pause)
        emitter.step(step, loss=1.0)
        if step % 5 == 0:
            save(step)

def seen():
    # Until the supervisor can read what has happened so far.
    now = time.monotonic_ns()
    pulse = pathlib.Path(os.environ["TRAINWARDEN_PULSE"], f"{os.environ.get('RANK', 0)}.json")
    while not pulse.exists() or json.loads(pulse.read_text())["monotonic_ns"] < now:
        time.sleep(0.02)
"""
"""A trainer that saves its step every five, and goes on from there."""


@dataclass(frozen=True)
class Told:
    """One OTLP log record of a file endpoint."""

    time_ns: int
    role: str | None
    rank: int | None
    attempt: int
    name: str
    body: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """How ``run`` ended, and everything that was emitted meanwhile."""

    code: int
    out: bytes
    err: str
    told: list[Told]

    def states(self) -> list[str]:
        """The supervisor's lifecycle, in order."""
        return [one.values["lifecycle.state"] for one in self.lifecycle("supervisor")]

    def lifecycle(self, role: str, state: str | None = None) -> list[Told]:
        """Lifecycle records of this role."""
        found = [one for one in self.told if one.name == "train.lifecycle" and one.role == role]
        return [one for one in found if state in (None, one.values["lifecycle.state"])]


def environment(tmp_path: Path, **extra: str) -> dict[str, str]:
    """Ours, without what would lead elsewhere; telemetry goes to files."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("TRAINWARDEN_", "SLURM_"))
    }
    return {
        **env, "TRAINWARDEN_ENDPOINT": f"file:{tmp_path / 'told'}", "TRAINWARDEN_RUN_ID": "small",
        "TRAINWARDEN_DATA_DIR": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1",
        **extra,
    }  # fmt: skip


def argv(command: Sequence[str], options: Sequence[str] = FAST) -> list[str]:
    """The command line of ``trainwarden run``."""
    return [sys.executable, "-m", "stream.cli", "run", *options, "--", *command]


def python(tmp_path: Path, code: str, name: str = "train.py") -> list[str]:
    """A trainer of this code; its first argument is the folder."""
    script = tmp_path / name
    script.write_text(code)
    return [sys.executable, str(script), str(tmp_path)]


def supervise(
    tmp_path: Path,
    command: Sequence[str],
    options: Sequence[str] = FAST,
    timeout: float = TIMEOUT_S,
    **env: str,
) -> Result:
    """Run to the end."""
    done = subprocess.run(
        argv(command, options), env=environment(tmp_path, **env), capture_output=True, timeout=timeout,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr.decode(), told(tmp_path))


def start(tmp_path: Path, command: Sequence[str], options: Sequence[str] = FAST, **env: str) -> Child:
    """Run in the background; its output is in ``run.log``."""
    return Child(argv(command, options), tmp_path / "run.log", environment(tmp_path, **env))


def told(tmp_path: Path) -> list[Told]:
    """What was written to the file endpoint, in order of time."""
    found = []
    for file in (tmp_path / "told").glob("*.jsonl"):
        for line in file.read_text().splitlines():
            for group in json.loads(line).get("resourceLogs", []):
                who = _attributes(group["resource"])
                found += [_told(who, one) for scope in group["scopeLogs"] for one in scope["logRecords"]]
    return sorted(found, key=lambda one: one.time_ns)


def _told(who: dict[str, Any], record: dict[str, Any]) -> Told:
    return Told(
        int(record["timeUnixNano"]), who.get("train.role"), who.get("train.rank"), who["train.attempt"],
        record.get("eventName", ""), record.get("body", {}).get("stringValue", ""), _attributes(record),
    )  # fmt: skip


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for pair in holder.get("attributes", []):
        ((kind, value),) = pair["value"].items()
        found[pair["key"]] = int(value) if kind == "intValue" else value
    return found
