"""The kernel's memory killer, in a real control group of our own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emitter.probes.mounts import folders
from tests.stream.supervise.rig import FAST, STEPS, argv, environment, python, told

LIMIT = 400 << 20


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory control group below ours with a limit; skipped where we may make none."""
    found = folders(Path("/"))
    one, two = found.get("memory"), found.get("")
    try:
        place = (one or two or [Path("/nowhere")])[0] / f"trainwarden-test-{os.getpid()}-{time.time_ns()}"
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        (place / ("memory.limit_in_bytes" if one else "memory.max")).write_text(str(LIMIT))
        yield place
    except OSError as error:
        pytest.skip(f"no limit can be set here: {error}")
    finally:
        for _ in range(100):
            try:
                place.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def test_a_trainer_that_the_kernel_kills_for_memory(tmp_path: Path, group: Path) -> None:
    """The counter of the control group tells it from any other SIGKILL; the run goes on."""
    code = STEPS + "go(7)\nif not resume:\n    held = []\n    while True: held.append(bytearray(16 << 20))\n"
    enter = (
        "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); os.execvp(sys.argv[2], sys.argv[2:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", enter, str(group / "cgroup.procs"), *argv(python(tmp_path, code), FAST)],
        env=environment(tmp_path), capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    exited = [one for one in told(tmp_path) if one.values.get("lifecycle.state") == "exited"]
    assert [one.values["exit.cause"] for one in exited] == ["oom_killed", "finished"]
    assert exited[0].values["exit.signal"] == 9
