"""Stacks of all threads: bounded, and sent once when steps stop coming."""

from __future__ import annotations

import sys
import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from emitter._ranks import identify
from emitter._session import Session
from emitter._settings import resolve
from emitter.probes.stacks import FRAMES_INNER, FRAMES_OUTER, stacks
from emitter.probes.stalls import StallProbe
from emitter.testing import MemoryExporter


class Waiting:
    """Threads that wait until the block ends."""

    def __init__(self, count: int, depth: int = 0) -> None:
        self.let_go = threading.Event()
        self.threads = [threading.Thread(target=self.down, args=(depth,)) for _ in range(count)]

    def down(self, depth: int) -> None:
        """Wait at this depth."""
        if depth:
            self.down(depth - 1)
        else:
            self.let_go.wait()

    def __enter__(self) -> None:
        for thread in self.threads:
            thread.start()
        while any(self.place(thread) != "Condition.wait" for thread in self.threads):
            time.sleep(0.001)

    @staticmethod
    def place(thread: threading.Thread) -> str:
        """The function that a thread is in."""
        frame = sys._current_frames()[thread.ident or 0]
        return "Condition.wait" if frame.f_code is threading.Condition.wait.__code__ else frame.f_code.co_name

    def __exit__(self, *error: object) -> None:
        self.let_go.set()
        for thread in self.threads:
            thread.join()


def test_the_main_thread_comes_first_with_its_own_line() -> None:
    """Places, names and, where Python has read the file before, the line."""
    found = stacks()

    assert found.startswith(f"Thread {threading.get_ident()} (MainThread), most recent call last:\n")
    assert "in test_the_main_thread_comes_first_with_its_own_line\n" in found.split("\n\n")[0]


def test_threads_that_are_alike_are_one_block() -> None:
    """A pool of forty threads costs one stack."""
    with Waiting(40):
        found = stacks()

    assert found.count(", in Waiting.down") + found.count(", in down") <= 8
    assert "threads alike" in found
    assert "more, most recent call last" in found


def test_a_deep_stack_is_cut_in_the_middle() -> None:
    """Its inner and its outer end are kept."""
    with Waiting(1, depth=300):
        found = stacks(limit=1_000_000)

    block = next(block for block in found.split("\n\n") if "frames ..." in block)
    assert block.count("  File ") == FRAMES_INNER + FRAMES_OUTER
    assert "_bootstrap" in block
    # Source lines are shown where somebody has read them already.
    frames = [line for line in block.splitlines() if line.startswith("  File ")]
    assert frames[-1].endswith(("in Condition.wait", "in wait"))


@given(st.integers(300, 5000))
def test_the_size_is_bounded(limit: int) -> None:
    """No text is longer than it may be, and the main thread is in it."""
    found = stacks(limit)

    assert len(found) <= limit
    assert "(MainThread)" in found


class Loop:
    """A loop of steps and its clock, for the probe."""

    def __init__(self, floor_s: float = 60.5, factor: float = 10.0) -> None:
        self.now_s = 1000.0
        self.at: tuple[int, int] | None = (0, self.now_ns())
        self.said: list[str] = []
        self.probe = StallProbe(
            lambda: self.at, self.now_ns, self.said.append, floor_s=floor_s, factor=factor
        )

    def now_ns(self) -> int:
        """The time."""
        return int(self.now_s * 1e9)

    def steps(self, count: int, each_s: float) -> None:
        """Take steps, and look after each."""
        for _ in range(count):
            self.now_s += each_s
            self.at = (self.at[0] + 1 if self.at else 1, self.now_ns())
            self.probe.tick()

    def nothing(self, seconds: int) -> None:
        """No step for so long, with a look every second."""
        for _ in range(seconds):
            self.now_s += 1
            self.probe.tick()


def test_a_stall_is_told_once_and_the_next_again() -> None:
    """After the floor, with what is usual; again only when there was progress in between."""
    loop = Loop()
    loop.steps(20, 0.5)
    loop.nothing(300)
    loop.steps(1, 1)
    loop.nothing(300)

    assert loop.said == ["no step for 61 s, usually one takes 0.5 s"] * 2


def test_slow_steps_have_more_time() -> None:
    """Ten times what a step usually takes; the first stall does not become usual."""
    loop = Loop()
    loop.steps(20, 29.99)
    loop.nothing(299)
    assert loop.said == []

    loop.nothing(2)
    assert loop.said == ["no step for 300 s, usually one takes 30 s"]


def test_phases_and_the_first_steps_are_no_stall() -> None:
    """Loading, compiling, an evaluation or a checkpoint may take as long as they like."""
    loop = Loop()
    loop.nothing(1000)
    loop.steps(1, 1)
    loop.nothing(1000)
    loop.steps(5, 1)
    loop.at = None
    loop.nothing(1000)

    assert loop.said == []


def stuck_in_here(until: threading.Event) -> None:
    """Hold the loop until somebody has seen it."""
    assert until.wait(60)


def test_a_session_sends_the_stack_of_its_stall() -> None:
    """In a real session with its threads: the function that holds the loop is in what arrives."""
    memory, seen = MemoryExporter(), threading.Event()
    settings = resolve({
        "run": "stalls", "stall_s": 0.2, "logs": False, "hooks": False, "resources": False, "flush_s": 0.01,
        "data_wait": False, "torch_memory": False,
    }, environ={})  # fmt: skip
    session = Session(settings, identify(settings, environ={}), {}, {}, exporter=memory)

    def look() -> None:
        while not any(log.name == "train.stack" for log in memory.received):
            time.sleep(0.01)
        seen.set()

    session.start()
    threading.Thread(target=look, daemon=True).start()
    for step in range(3):
        session.step(step)
    stuck_in_here(seen)
    session.close()

    (stack,) = [log for log in memory.received if log.name == "train.stack"]
    assert "in stuck_in_here" in (stack.body or "")
    assert str(stack.attributes["stack.reason"]).startswith("no step for ")
    assert stack.attributes["train.step"] == 2
