"""Child processes: their logs, their end, and that they never outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream.children import Child, Children
from tests.fixtures import wait_for
from tests.integration.processes import gone

_SLEEP = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]
_STUBBORN = [_SLEEP[0], "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + _SLEEP[2]]
_NOTES_ITS_END = """
import signal, sys
def end(*_):
    with open(sys.argv[1], "a") as file:
        file.write(sys.argv[2])
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
signal.pause()
"""


def _up(child: Child) -> bool:
    return "up" in child.tail()


def test_stop_all_stops_the_last_one_started_first(tmp_path: Path) -> None:
    """The order of the ends is the reverse of the order of the starts."""
    children = Children(tmp_path)
    ends = tmp_path / "ends"
    for name in "abc":
        children.start(name, [sys.executable, "-c", _NOTES_ITS_END, str(ends), name])
    wait_for(lambda: all(map(_up, children.running)), what="the children to be up")
    children.stop_all()
    assert ends.read_text() == "cba"
    assert children.running == []


def test_a_child_that_ignores_sigterm_is_killed_when_forced(tmp_path: Path) -> None:
    """Forcing does not wait for the grace."""
    children = Children(tmp_path)
    child = children.start("stubborn", _STUBBORN)
    wait_for(lambda: _up(child), what="the child to be up")
    children.stop(child, grace_s=600, forced=lambda: True)
    assert child.ended() == "signal SIGKILL"


def test_first_ended_names_the_child_and_its_log_tells_why(tmp_path: Path) -> None:
    """A child that ends by itself is found, with its exit code and last words."""
    children = Children(tmp_path)
    child = children.start("short", [sys.executable, "-c", "import sys; sys.exit('no room left')"])
    assert wait_for(children.first_ended, what="the child to end") is child
    assert child.ended() == "exit code 1"
    assert child.tail() == "no room left"


def test_a_command_that_does_not_exist_says_so_in_its_log(tmp_path: Path) -> None:
    """Starting an unknown program ends with one clear line."""
    children = Children(tmp_path)
    child = children.start("absent", ["/nonexistent/program"])
    wait_for(children.first_ended, what="the child to end")
    assert child.tail() == "/nonexistent/program: cannot be started: No such file or directory"


def test_the_log_of_the_start_before_is_kept(tmp_path: Path) -> None:
    """A second start moves the first one's log aside."""
    for word in ("first", "second"):
        children = Children(tmp_path)
        child = children.start("part", [sys.executable, "-c", f"print({word!r})"])
        child.process.wait()
    assert (tmp_path / "part.log").read_text() == "second\n"
    assert (tmp_path / "part.log.1").read_text() == "first\n"


@pytest.mark.parametrize("watch", [{}, {"LIFELINE_WATCH": "1"}], ids=["kernel", "watcher"])
def test_children_die_with_a_parent_that_is_killed(tmp_path: Path, watch: dict[str, str]) -> None:
    """kill -9 of the parent ends even a child that ignores SIGTERM; both ways of noticing it work."""
    code = (
        "import sys, time; from pathlib import Path; from stream.children import Children; "
        f"child = Children(Path({str(tmp_path)!r})).start('stubborn', {_STUBBORN!r}); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, **watch}
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_for(lambda: "up" in (tmp_path / "stubborn.log").read_text(), what="the child to be up")
        assert not gone(pid)
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: gone(pid), what="the child to be gone")
