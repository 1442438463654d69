"""CPU, memory, threads and open files of this process."""

from __future__ import annotations

import time

import psutil

from stream.telemetry.board import Board
from stream.telemetry.catalogue import CPU, FILES, MEMORY, THREADS, UPTIME

_USER, _SYSTEM = ("user",), ("system",)


def watch(board: Board) -> None:
    """Put the numbers of this process on the board."""
    me = psutil.Process()

    def cpu() -> dict[tuple[str | int, ...], float]:
        times = me.cpu_times()
        return {_USER: times.user, _SYSTEM: times.system}

    board.read(CPU, cpu)
    board.number(MEMORY, lambda: me.memory_info().rss)
    board.number(THREADS, me.num_threads)
    board.number(FILES, me.num_fds)
    board.number(UPTIME, lambda: time.time() - me.create_time())
