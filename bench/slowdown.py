"""What a logger costs a real torch step of 5-6 ms, everything on that needs no further service.

Twice, because one per cent is below the noise of timing blocks of steps. First by parts, with one tool at a
time: the mean time of its calls, plus what its threads may have stolen, for which the processor time of those
threads stands: while they compute they may hold the GIL, so it is the most that they can have taken. Then by
blocks: all tools alive, blocks of steps with and without the calls of one of them in random order.

The floor is a keyword call that keeps its dict; the blocks of nothing against nothing show the noise.
`emitter.watch` is measured in torch_probes.
"""

from __future__ import annotations

import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.row import Row
from bench.sink import sink
from bench.step_call import Call, deques, otel, ours, tensorboard, wandb
from bench.training import training_step

_STEPS = 500
_WARM_UP = 50
_BLOCK = 20
_PAIRS = 16

Tool = AbstractContextManager[Call | None]


def _nothing(step: int, loss: float, norm: float) -> None:
    """Not a call of anybody's."""


@contextmanager
def _everything(url: str) -> Iterator[Call]:
    """The emitter with what is off by default too: a tailed file and the console."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "train.log"
        file.touch()
        with ours(url, console=True, tail=[str(file)]) as call:
            yield call


def _tools(url: str) -> dict[str, Callable[[], Tool]]:
    return {
        "nothing": lambda: nullcontext(_nothing),
        "floor": lambda: nullcontext(deques()["keyword"]),
        "ours": lambda: _everything(url),
        "otel": lambda: otel(url),
        "tensorboard": tensorboard,
        "wandb": wandb,
    }


def _spent_by(threads: list[threading.Thread]) -> float:
    """Processor seconds of these threads since they started; those that have ended count nothing."""
    total = 0.0
    for thread in threads:
        if thread.ident is not None and thread.is_alive():
            total += time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    return total


def _by_parts(call: Call, train: Callable[[], float], theirs: list[threading.Thread]) -> float:
    """Per cent of a training step: mean call, and processor time of the tool's threads."""
    clock = time.perf_counter
    for step in range(_WARM_UP):
        call(step, train(), 1.0)
    before, trained, called = _spent_by(theirs), [], 0.0
    for step in range(_WARM_UP, _WARM_UP + _STEPS):
        start = clock()
        loss = train()
        middle = clock()
        call(step, loss, 1.0)
        called += clock() - middle
        trained.append(middle - start)
    stolen = _spent_by(theirs) - before
    return 100 * (called + stolen) / _STEPS / statistics.median(trained)


def _by_blocks(calls: dict[str, Call], train: Callable[[], float]) -> dict[str, float]:
    """Per cent that a block of steps takes longer than the block beside it in which nothing is called."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    order = random.Random(0)
    for _ in range(_PAIRS):
        for name, call in order.sample(sorted(calls.items()), len(calls)):
            pair = [("with", call), ("without", _nothing)]
            order.shuffle(pair)
            taken = {way: _block(which, train) for way, which in pair}
            found[name].append(100 * (taken["with"] / taken["without"] - 1))
    return {name: statistics.median(values) for name, values in found.items()}


def _block(call: Call, train: Callable[[], float]) -> float:
    start = time.perf_counter()
    for step in range(_BLOCK):
        call(step, train(), 1.0)
    return time.perf_counter() - start


def measure() -> list[Row]:
    """Ours against each peer, by parts and by blocks."""
    train = training_step()
    parts: dict[str, float] = {}
    with sink() as place:
        for name, tool in _tools(place.url).items():
            others = set(threading.enumerate())
            with tool() as call:
                theirs = [thread for thread in threading.enumerate() if thread not in others]
                if call is not None:
                    parts[name] = _by_parts(call, train, theirs)
        arrived = place.counts()
        for name in ("train.step", "otel"):
            if arrived.get(name) != _STEPS + _WARM_UP:
                raise RuntimeError(f"{name}: expected {_STEPS + _WARM_UP} records, got {arrived}")
        with ExitStack() as stack:
            opened = {name: stack.enter_context(tool()) for name, tool in _tools(place.url).items()}
            blocks = _by_blocks({name: call for name, call in opened.items() if call is not None}, train)
    sys.stdout.flush()
    return [*_rows("by calls and stolen time", parts), *_rows("by interleaved blocks", blocks)]


def _rows(how: str, found: dict[str, float]) -> list[Row]:
    names = {
        "otel": ("OTel SDK emit", "<= 0.5 %, aim 0.1 %"),
        "tensorboard": ("tensorboardX", "-"),
        "wandb": ("wandb offline", "-"),
        "floor": ("floor: a keyword call that keeps its dict", "-"),
        "nothing": ("nothing", "-"),
    }
    what = f"slow-down of a torch step, {how}"
    return [Row(what, found["ours"], found[name], "%", *names[name]) for name in names if name in found]
