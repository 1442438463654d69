"""``trainwarden run`` around real trainers: output, signals, exit codes, restarts."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.fixtures import wait_for
from tests.stream.supervise.rig import FAST, STEPS, environment, python, start, supervise, told

ONCE = (*FAST, "--max-restarts", "0")


def test_output_passes_through_unchanged(tmp_path: Path) -> None:
    """Both streams byte for byte, whatever they hold; lines become train.log with their stream."""
    code = r"""
import sys
sys.stdout.buffer.write(b"one\n\xff\xfe two\rthree\nno end")
sys.stderr.buffer.write(b"\x1b[31mERROR: red\x1b[0m\n")
"""
    done = supervise(tmp_path, python(tmp_path, code), ONCE)

    assert (done.code, done.out) == (0, b"one\n\xff\xfe two\rthree\nno end")
    assert done.err == "\x1b[31mERROR: red\x1b[0m\n"
    lines = [(one.body, one.values["log.iostream"]) for one in done.told if one.name == "train.log"]
    assert sorted(lines) == [
        ("ERROR: red", "stderr"),
        ("no end", "stdout"),
        ("one", "stdout"),
        ("three", "stdout"),
    ]


def test_lines_are_limited_not_output(tmp_path: Path) -> None:
    """A flood is passed on whole, and sent up to the limit; how much was left out is said."""
    code = "for number in range(5000): print('line', number)"
    done = supervise(tmp_path, python(tmp_path, code), (*ONCE, "--lines-per-s", "10"))

    assert done.out.count(b"\n") == 5000
    logs = [one for one in done.told if one.name == "train.log"]
    assert 100 <= len(logs) < 1000
    assert sum(one.values.get("log.dropped", 0) for one in logs) >= 4000


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139),
        ("import os; os._exit(0)", 0),
    ],
)
def test_exits_as_the_trainer_does(tmp_path: Path, code: str, expected: int) -> None:
    """Its exit code, or 128 and the signal."""
    done = supervise(tmp_path, python(tmp_path, code), ONCE)

    assert done.code == expected
    assert done.states()[:2] == ["launched", "exited"]


def test_a_command_that_is_none(tmp_path: Path) -> None:
    """One clear line, and the code that a shell gives."""
    done = supervise(tmp_path, ["no-such-trainer"], ONCE)

    assert done.code == 127
    assert "trainwarden: no-such-trainer: cannot be started: No such file or directory" in done.err


def test_signals_are_passed_on(tmp_path: Path) -> None:
    """Those that trainers know reach the trainer, and it is not started again after one that ends it."""
    code = """
import signal, sys, time
seen = []
for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT"):
    signal.signal(getattr(signal, name), lambda number, frame: print("got", signal.Signals(number).name))
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(9))
print("ready")
while True:
    time.sleep(0.05)
"""
    child = start(tmp_path, python(tmp_path, code))
    child.wait_until(lambda: "ready" in child.log(), "the trainer")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT):
        os.kill(child.pid, number)
        name = f"got {number.name}"
        child.wait_until(lambda name=name: name in child.log(), name)  # type: ignore[misc]

    assert child.stop(60.0) == 9
    exited = [one for one in told(tmp_path) if one.values.get("lifecycle.state") == "exited"]
    assert [one.values["exit.cause"] for one in exited] == ["preempted"]


def test_a_trainer_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace."""
    code = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready")
time.sleep(600)
"""
    child = start(tmp_path, python(tmp_path, code), (*FAST, "--grace", "0.5"))
    child.wait_until(lambda: "ready" in child.log(), "the trainer")

    assert child.stop(60.0) == 137


def test_an_exception_is_classified_and_the_run_resumes(tmp_path: Path) -> None:
    """The traceback is read, the next attempt goes on from the newest verified checkpoint."""
    code = STEPS + "go(12)\nif not resume:\n    raise ValueError('bad luck')\nprint('resumed from', resume)\n"
    done = supervise(tmp_path, python(tmp_path, code))

    assert (done.code, done.out.decode()) == (0, f"resumed from {tmp_path / '10.txt'}\n")
    assert done.states() == ["launched", "exited", "restarting", "launched", "exited"]
    first = done.lifecycle("supervisor", "exited")[0].values
    assert first["exit.cause"] == "exception"
    assert (first["exception.type"], first["exception.message"]) == ("ValueError", "bad luck")
    assert "Traceback (most recent call last):" in first["exception.stacktrace"]
    bodies = [one.body for one in done.told if one.name == "train.log" and one.role == "trainer"]
    assert [body.count("ValueError: bad luck") for body in bodies] == [1]
    lines = [one.body for one in done.told if one.name == "train.log" and one.role == "supervisor"]
    assert not [line for line in lines if line.startswith(("Traceback", "  File", "ValueError"))]
    assert [one.attempt for one in done.lifecycle("supervisor", "launched")] == [0, 1]
    assert [one.values["lifecycle.state"] for one in done.lifecycle("trainer")] == [
        "started", "failed", "resumed", "finished",
    ]  # fmt: skip


def test_an_exception_without_an_emitter_is_read_from_the_output(tmp_path: Path) -> None:
    """The last traceback counts."""
    code = """
import traceback
try:
    1 / 0
except ZeroDivisionError:
    traceback.print_exc()
import json
json.loads("{")
"""
    done = supervise(tmp_path, python(tmp_path, code), ONCE)

    exited = done.lifecycle("supervisor", "exited")[0].values
    assert (done.code, exited["exit.cause"]) == (1, "exception")
    assert exited["exception.type"] == "json.decoder.JSONDecodeError"
    assert "ZeroDivisionError" not in exited["exception.stacktrace"]
    lines = [one.body for one in done.told if one.name == "train.log"]
    assert lines.count("Traceback (most recent call last):") >= 2
    assert lines.count("ZeroDivisionError: division by zero") == 1


def test_a_killed_rank_gets_its_last_word(tmp_path: Path) -> None:
    """SIGKILL leaves no time to say anything: the supervisor says it in the rank's place."""
    code = STEPS + "import signal\ngo(3)\nseen()\nos.kill(os.getpid(), signal.SIGKILL)\n"
    done = supervise(tmp_path, python(tmp_path, code), ONCE)

    assert done.code == 137
    assert done.lifecycle("supervisor", "exited")[0].values["exit.cause"] == "killed"
    (killed,) = done.lifecycle("trainer", "killed")
    assert (killed.rank, killed.values["exit.signal"]) == (0, 9)


MEMORY = """
import resource
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), resource.RLIM_INFINITY))
bytearray(1 << 30)
"""


@pytest.mark.parametrize(
    ("fault", "cause", "said"),
    [
        (MEMORY, "exception", "MemoryError"),
        ("pathlib.Path('/dev/full').write_text('x')", "exception", "No space left on device"),
        (
            "raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')",
            "exception",
            "CUDA out of memory",
        ),
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", "killed", "SIGKILL"),
    ],
    ids=["host memory", "disk full", "gpu memory", "killed rank"],
)
def test_ends_of_many_kinds_are_recognised_and_resumed(
    tmp_path: Path, fault: str, cause: str, said: str
) -> None:
    """Each is told with its cause, and the run goes on from the newest verified checkpoint."""
    faulty = "".join(f"    {line}\n" for line in fault.strip().splitlines())
    done = supervise(tmp_path, python(tmp_path, f"{STEPS}go(12)\nif not resume:\n{faulty}"))

    assert done.code == 0, done.err
    first, second = done.lifecycle("supervisor", "exited")
    assert (first.values["exit.cause"], second.values["exit.cause"]) == (cause, "finished")
    assert said in first.values["supervisor.reason"]
    again = done.lifecycle("supervisor", "launched")[1]
    assert again.values["supervisor.resume"] == str(tmp_path / "10.txt")


def test_exit_code_75_asks_for_a_restart(tmp_path: Path) -> None:
    """It is no failure: it is done also where none is allowed."""
    code = STEPS + "go(7)\nif not resume:\n    sys.exit(75)\n"
    done = supervise(tmp_path, python(tmp_path, code), ONCE)

    assert (done.code, done.states()) == (0, ["launched", "exited", "restarting", "launched", "exited"])
    assert done.lifecycle("supervisor", "exited")[0].values["exit.cause"] == "restart"


def test_a_storm_of_restarts_ends(tmp_path: Path) -> None:
    """Failing again and again at the same step, it gives up and says why."""
    done = supervise(tmp_path, python(tmp_path, STEPS + "go(8)\nraise OSError('the disk is gone')\n"))

    assert done.code == 1
    assert done.states().count("launched") == 3
    assert done.states()[-1] == "gave_up"
    assert "giving up after 2 restarts: 2 in a row came no further than step 7" in done.err
    assert "the disk is gone" in done.err


def test_a_failure_before_the_first_step_ends_soon(tmp_path: Path) -> None:
    """What cannot even start is not started for ever."""
    done = supervise(tmp_path, python(tmp_path, "import no_such_module"))

    assert done.code == 1
    assert "2 in a row came no further than the first step" in done.err


def test_state_dir_outlives_the_supervisor(tmp_path: Path) -> None:
    """A job that is requeued goes on from the newest checkpoint of the one before."""
    command = python(tmp_path, STEPS + "print('from', resume)\ngo(12)\n")
    options = (*ONCE, "--state-dir", str(tmp_path / "state"))
    first, second = supervise(tmp_path, command, options), supervise(tmp_path, command, options)

    assert first.out == b"from None\n"
    assert second.out.decode() == f"from {tmp_path / '10.txt'}\n"


def test_nothing_is_given_to_run(tmp_path: Path) -> None:
    """Wrong usage is code 2."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", "run"],
        env=environment(tmp_path),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2


def test_progress_bars_find_a_terminal(tmp_path: Path) -> None:
    """On a terminal the trainer has one, too, of the same size, and its bytes are not changed."""
    import fcntl
    import pty
    import struct
    import subprocess
    import termios

    from tests.stream.supervise.rig import argv

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 117, 0, 0))
    code = (
        "import os, sys; print(sys.stdout.isatty(), os.get_terminal_size(1).columns, end='\\r', flush=True)"
    )
    process = subprocess.Popen(
        argv(python(tmp_path, code), ONCE), env=environment(tmp_path), stdout=theirs, stderr=theirs,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    shown = bytearray()

    def read() -> bool:
        try:
            shown.extend(os.read(ours, 4096))
        except OSError:
            return True
        return b"True 117\r" in shown

    wait_for(read, 60.0, "the line")
    assert process.wait(60) == 0
    os.close(ours)
    assert b"True 117\r" in shown
