"""A process that has imported torch once and forks ranks from then on: 5 s a rank are 0.1 s.

Forking is safe here because nothing but imports has happened: no thread runs, no store is open. One line of
JSON on stdin per rank; its process id comes back, and its exit code in a file beside its log.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import selectors
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import torch.distributed as dist

from tests.emitter.agreement import identity, trainer


def main() -> None:
    """Fork what is asked for until stdin ends."""
    watched = selectors.DefaultSelector()
    asked_on = open(0, "rb", buffering=0)  # noqa: SIM115 - as long as the process
    watched.register(asked_on, selectors.EVENT_READ)
    print("up", flush=True)
    while True:
        for key, _ in watched.select():
            if key.data is not None:
                _reap(watched, key.fd, *key.data)
                continue
            line = asked_on.readline()
            if not line:
                return
            asked = json.loads(line)
            pid = _fork(asked)
            watched.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, asked["code"]))
            print(pid, flush=True)


def _reap(watched: selectors.BaseSelector, fd: int, pid: int, path: str) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    watched.unregister(fd)
    os.close(fd)
    draft = Path(f"{path}.draft")
    draft.write_text(str(code))
    draft.rename(path)


def _fork(asked: dict[str, Any]) -> int:
    assert threading.active_count() == 1
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: as every child of the tests
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for fd, to in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(fd, to)
        os.environ.clear()
        os.environ.update(asked["env"])
        _work(asked["argv"])
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        traceback.print_exc()
    except BaseException:  # noqa: BLE001 - the end of a process: what went wrong is in its log
        traceback.print_exc()
    finally:
        # The end of an interpreter, but for what belongs to the zygote.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _work(argv: list[str]) -> None:
    if argv[0] == "store":
        store = dist.TCPStore("127.0.0.1", int(argv[1]), is_master=True, wait_for_workers=False)
        print("up", flush=True)
        while store is not None:
            signal.pause()
    if argv[0] == "identity":
        identity.main(argv[1], early=False)
        return
    trainer.main(int(argv[0]), int(argv[1]), argv[2], int(argv[3]))


if __name__ == "__main__":
    main()
