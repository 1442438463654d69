"""``python lifeline.py PARENT_PID COMMAND...``: become COMMAND, and end when the parent does.

Started by path with ``python -I``, so it needs the standard library only. On Linux the kernel sends the
signal (prctl(2), PR_SET_PDEATHSIG); elsewhere, or with LIFELINE_WATCH=1, a small process watches the parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_WATCH_S = 0.25


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _watch(parent: int, child: int) -> None:
    """Kill the child once the parent is gone; end with the child."""
    while _alive(child) and os.getppid() == child:
        if not _alive(parent):
            os.kill(child, signal.SIGKILL)
            return
        time.sleep(_WATCH_S)


def _start_watcher(parent: int) -> None:
    child = os.getpid()
    if os.fork() == 0:
        os.setsid()
        _watch(parent, child)
        os._exit(0)


def main(parent: int, command: list[str]) -> None:
    """Tie this process to its parent, then execute the command in its place."""
    if sys.platform == "linux" and not os.environ.pop("LIFELINE_WATCH", None):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        _start_watcher(parent)
    if os.getppid() != parent:  # it died before we were tied to it
        sys.exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and that would be inherited
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: cannot be started: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
