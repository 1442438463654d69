"""``Steps.arm`` against the hot path, with the other thread let in between any two instructions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from emitter._queue import Queue
from emitter._steps import Steps

BEFORE = 3
"""Calls of step() before anything is armed."""


class Blocked(BaseException):
    """The training thread waits for the lock that whoever arms still holds."""


class Loop:
    """Calls step(), and looks again at every boundary until the count that arming named has come."""

    def __init__(self) -> None:
        self.sure = 0
        self.looked: list[int] = []
        self.arming = False
        self.blocked = False
        self.steps = Steps(Queue(1000), lambda: 0, self._boundary)

    def step(self, times: int) -> None:
        for _ in range(times):
            if not self.blocked:
                try:
                    self.steps.step(loss=1.0)
                except Blocked:
                    self.blocked = True

    def arm(self) -> None:
        self.arming = True
        self.sure = self.steps.arm()
        self.arming = False
        if self.blocked:
            self.blocked = False
            self._look()

    def _boundary(self) -> None:
        if self.arming:
            raise Blocked
        self._look()

    def _look(self) -> None:
        self.looked.append(self.steps.count)
        if self.steps.count < self.sure:
            self.steps.arm()


@contextmanager
def between(number: int, then: Callable[[], None]) -> Iterator[list[int]]:
    """Call ``then`` before this instruction of what is called inside; yields how many there were."""
    seen = [0]

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if "emitter" not in frame.f_code.co_filename or "tests" in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen[0] += 1
            if seen[0] == number:
                sys.settrace(None)
                then()
                sys.settrace(trace)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield seen
    finally:
        sys.settrace(before)


def test_armed_within_any_instruction_of_a_step() -> None:
    """Whenever arming comes in, the loop looks at the count that was promised."""
    number = total = 1
    while number <= total:
        loop = Loop()
        loop.step(BEFORE)
        with between(number, loop.arm) as seen:
            loop.step(2)
        total, number = seen[0], number + 1
        loop.step(4)
        assert not loop.sure or loop.sure in loop.looked, (number, loop.sure, loop.looked)
    assert total > 40


def test_steps_within_any_instruction_of_arming() -> None:
    """However many calls happen while somebody arms, none of them passes the promised count unseen."""
    for calls in (1, 2, 3):
        number = total = 1
        while number <= total:
            loop = Loop()
            loop.step(BEFORE)
            with between(number, lambda loop=loop, calls=calls: loop.step(calls)) as seen:  # type: ignore[misc]
                loop.arm()
            total, number = seen[0], number + 1
            loop.step(6)
            assert loop.sure in loop.looked, (calls, number, loop.sure, loop.looked)
        assert total > 10


def test_nothing_pending_costs_nothing() -> None:
    """With nothing armed a call is the same function over the same variables: it never looks."""
    loop = Loop()
    hot = loop.steps.step
    loop.step(50)
    loop.arm()
    loop.step(4)
    looked = len(loop.looked)
    loop.step(50)

    assert loop.steps.step is hot
    assert len(loop.looked) == looked
