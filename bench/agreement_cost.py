"""What a step costs more for a rank that could be sent a command at any time: with no proposal, nothing.

One process is by turns alone and rank 0 of two: then it has met a second process over a store, and its
threads wait there. The median of one call of `step()`, after a torch step that has emptied the caches.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.row import Row
from bench.sink import sink
from bench.training import training_step

_BLOCKS = 4
_STEPS = 200
_WARM_UP = 10
_PATIENCE_S = 60.0

OTHER = """
import sys, time
import torch.distributed
import emitter
emitter.init("bench", run_id="agreement", rank=1, world_size=2, store=sys.argv[1], endpoint=sys.argv[2],
             resources=False, logs=False)
while True:
    emitter.step(loss=1.0)
    time.sleep(0.01)
"""


@contextmanager
def _other_rank(store: str, url: str) -> Iterator[None]:
    child = subprocess.Popen([sys.executable, "-c", OTHER, store, url])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def _block(url: str, train: Any, **settings: Any) -> list[int]:
    """Nanoseconds of each call of step(), in a session of its own."""
    import emitter
    from emitter import _api

    emitter.init("bench", run_id="agreement", endpoint=url, resources=False, logs=False, **settings)
    try:
        session = _api._session
        assert session is not None
        if "store" in settings:
            _wait_met(session.commander.group)
        spent = []
        for step in range(_STEPS + _WARM_UP):
            loss = train()
            start = time.perf_counter_ns()
            emitter.step(step, loss=loss)
            spent.append(time.perf_counter_ns() - start)
        return spent[_WARM_UP:]
    finally:
        emitter.shutdown()


def _wait_met(group: Any) -> None:
    """Until both ranks listen. Raises RuntimeError where they do not."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        line = group._line
        if line is not None and line.keys is not None:
            joined = tuple(line.keys.joined(rank) for rank in range(2))
            if None not in line.short.call(lambda client, joined=joined: client.peek(joined)):
                return
        time.sleep(0.05)
    raise RuntimeError(f"two ranks have not met within {_PATIENCE_S:g} s")


def measure() -> list[Row]:
    """Median cost of step() in a group of two ranks, beside that of a process alone."""
    import torch.distributed as dist

    train = training_step()
    alone: list[int] = []
    grouped: list[int] = []
    with sink() as place:
        for _ in range(_BLOCKS):
            alone += _block(place.url, train)
            store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
            named = f"tcp://127.0.0.1:{store.port}"
            with _other_rank(named, place.url):
                grouped += _block(place.url, train, rank=0, world_size=2, store=named)
    ours, peer = (statistics.median(block) / 1e3 for block in (grouped, alone))
    return [
        Row("step() of a rank in a group of 2, no command pending", ours, peer, "us",
            "the same process alone", "<= 1.05"),
    ]  # fmt: skip
