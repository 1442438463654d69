"""What step() leaves behind, however it is called, and in what order it is numbered."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import pytest
import torch

import emitter
from emitter import _hot
from emitter._clock import Clock
from emitter._intake import Intake
from emitter._queue import Queue
from emitter._steps import Steps
from emitter.testing import Captured, ManualClock, capture


def steps(captured: Captured) -> list[Any]:
    return [log.attributes["train.step"] for log in captured.named("train.step")]


def values(row: Any) -> dict[str, Any]:
    """Of a row of the queue."""
    assert isinstance(row[5], dict)
    return row[5]


def test_signature_is_the_documented_one() -> None:
    """Tools show step, metrics, epoch and values, and the text of help()."""
    assert list(inspect.signature(emitter.step).parameters) == ["step", "metrics", "epoch", "values"]
    assert "optimizer step" in (emitter.step.__doc__ or "")
    assert (emitter.step.__module__, emitter.step.__qualname__) == ("emitter._api", "step")


def test_function_taken_before_init_works_in_every_session() -> None:
    """`from emitter import step` before init: nothing, then each session in turn, then nothing."""
    step = emitter.step
    step(1, loss=1.0)
    for _ in range(2):
        with capture() as captured:
            step(2, loss=1.0)
            step(loss=torch.tensor(1.0))
        assert steps(captured) == [2, 1]
        step(3, loss=1.0)
        assert steps(captured) == [2, 1]


def test_sessions_beside_each_other_keep_their_own_counts() -> None:
    """Without the process's function each has one of its own."""
    first, second = (Steps(Queue(10), lambda: 0, lambda: None) for _ in range(2))
    first.step(5, loss=1.0)
    first.step(6, loss=1.0)
    second.step(7, loss=1.0)

    assert [(one.count, one.at) for one in (first, second)] == [(2, 6), (1, 7)]


def test_closed_session_keeps_its_counts() -> None:
    """What the next session counts is not the last one's."""
    hot = _hot.make()
    first = Steps(Queue(10), lambda: 3, lambda: None, hot)
    assert (first.count, first.at, first.at_ns) == (0, None, 0)
    first.open()
    hot.step(5, loss=1.0)
    first.close()
    second = Steps(Queue(10), lambda: 4, lambda: None, hot)
    second.open()
    hot.step(9, loss=1.0)
    hot.step(10, loss=1.0)

    assert (first.count, first.at, first.at_ns) == (1, 5, 3)
    assert (second.count, second.at, second.at_ns) == (2, 10, 4)


@pytest.mark.parametrize("call", [
    lambda: emitter.step(4, {"loss": 1.0}, epoch=0.5),
    lambda: emitter.step(4, loss=1.0, epoch=0.5),
    lambda: emitter.step(4, loss=torch.tensor(1.0), epoch=torch.tensor(0.5)),
    lambda: emitter.step(torch.tensor(4), {"loss": 1}, epoch=0.5),
    lambda: emitter.step(step=4, loss=1, epoch=0.5),
    lambda: emitter.step(None, {"step": 4, "loss": 1.0}, epoch=0.5),
])  # fmt: skip
def test_every_way_to_call_means_the_same(captured: Captured, call: Any) -> None:
    """Numbers and tensors, by name and in a mapping."""
    call()

    (log,) = captured.named("train.step")
    assert log.attributes == {"loss": 1, "train.step": 4, "train.epoch": 0.5, "train.seq": 1}


def test_epoch_among_metrics_is_a_value(captured: Captured) -> None:
    """Only the argument is the record's epoch; none is none."""
    emitter.step(4, {"loss": 1.0, "epoch": 3})
    emitter.step(5, loss=1.0, epoch=None)

    first, second = (log.attributes for log in captured.named("train.step"))
    assert (first["epoch"], first.get("train.epoch")) == (3, None)
    assert not {"epoch", "train.epoch"} & set(second)


def test_numbers_follow_the_order_of_the_calls(captured: Captured) -> None:
    """Steps and other records share one sequence."""
    emitter.step(0, loss=1.0)
    emitter.event("mine")
    emitter.step(1, loss=float("nan"))
    emitter.log("line")

    assert [(log.seq, log.name) for log in captured.logs] == [
        (0, "train.lifecycle"), (1, "train.step"), (2, "mine"), (3, "train.step"), (4, "train.log"),
    ]  # fmt: skip


def test_what_finds_no_room_takes_its_numbers_where_it_was_lost() -> None:
    """A gap for each time the queue was full, as wide as the loss; the step after it counts from there."""
    now = [0]
    queue = Queue(3)
    taken, taker = [], Steps(queue, lambda: now[0], lambda: None)
    intake = Intake(queue)
    for _ in range(2):
        for _ in range(5):
            now[0] += 10**9
            taker.step(loss=1.0)
        queue.offer(now[0], "mine")
        while rows := intake.take(2):
            taken += rows

    assert [row[1] for row in taken] == [0, 1, 2, 6, 7, 8]
    assert [row[3] for row in taken] == [0, 1, 2, 5, 6, 7]
    assert [values(row).get("step_time") for row in taken] == [None, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert queue.totals == {"queue_full": 6}
    assert len(queue.items) == 0


def test_gaps_cost_no_memory() -> None:
    """However many records are lost, the queue holds its limit and one mark."""
    queue = Queue(3)
    taker = Steps(queue, lambda: 0, lambda: None)
    for _ in range(10_000):
        taker.step(loss=1.0)

    assert (len(queue.items), queue.left) == (4, 3)
    assert queue.totals == {"queue_full": 9_997}


def test_threads_that_step_together_lose_nothing() -> None:
    """Four threads call at once while one takes: every number once, and called = taken + counted."""
    queue = Queue(1000)
    taker, intake, taken = Steps(queue, Clock().monotonic_ns, lambda: None), Intake(queue), list[Any]()
    calls, going = 20_000, threading.Barrier(5)

    def call() -> None:
        going.wait()
        for place in range(calls):
            taker.step(place, loss=1.0, text="x" if place % 50 == 0 else 1)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    going.wait()
    while any(thread.is_alive() for thread in threads) or queue.items:
        taken += intake.take(256)

    numbers = [row[1] for row in taken]
    assert numbers == sorted(set(numbers))
    assert len(taken) + queue.totals.get("queue_full", 0) == 4 * calls
    assert numbers[-1] < 4 * calls


def test_commands_do_not_count_as_time_of_a_step(clock: ManualClock) -> None:
    """What the boundary took is left out of the next step_time; a look that takes no time changes nothing."""
    queue, costs = Queue(10), iter([2.0, 0.0])
    taker = Steps(queue, clock.monotonic_ns, lambda: clock.advance(next(costs)))
    for _ in range(3):
        taker.arm() if taker.count < 2 else None
        taker.step(loss=1.0)
        clock.advance(0.5)

    found = [values(row).get("step_time") for row in Intake(queue).take(10)]
    assert found == [None, pytest.approx(0.5), pytest.approx(0.5)]
