"""``emitter.step``: the one function of ours that runs in every step of a training loop.

Between two calls a training step has emptied the processor's caches, so what counts is how much memory and
how many different instructions a call touches (bench/step_call.py). Hence one frame, a closure, and nothing
that can as well be done later: numbers, the time between steps and the epoch are the sender's work
(``_intake.py``), and what is rare goes to ``attend``. There is no keyword-only parameter: Python would
compare the name of each value with it.
"""

from __future__ import annotations

from time import monotonic_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Call = tuple[int, Any, dict[str, Any]]
    """Monotonic ns, step, values: what one call of ``step()`` leaves in the queue."""


class Hot:
    """The function, and the only ways to its variables."""

    __slots__ = ("allow", "close", "open", "restart", "state", "step", "went")

    def __init__(self) -> None:
        self.step: Callable[..., None]
        """Users call this one; it does nothing until ``open``."""
        self.open: Callable[[Callable[[], int], Callable[[Any], object], Callable[[Call, Any], object]], None]
        """From now on plain calls are appended, others attended to; counts from 0."""
        self.close: Callable[[], None]
        self.state: Callable[[], tuple[int, Any, int]]
        """Calls so far, step of the last one, when it was (monotonic ns); None and 0 before the first."""
        self.went: Callable[[int, Any], None]
        """``attend`` took a call of this time and step: count it."""
        self.allow: Callable[[int], None]
        """The call of this number is the next that is attended to, whatever its values."""
        self.restart: Callable[[int], None]
        """The last call counts as made at this time."""


def make() -> Hot:
    """A function with variables of its own."""
    clock = monotonic_ns
    append: Callable[[Any], object] = _nothing
    attend: Callable[[Call, Any], object] = _nothing
    count = until = 0
    # Not the last call itself: to let go of it would be to clear away what the sender has read long ago.
    at: Any = None
    at_ns = 0

    def step(step: Any = None, metrics: Any = None, /, **values: Any) -> None:
        nonlocal count, at, at_ns
        if step is None and metrics is None and "step" not in values:
            step = count
        now = clock()
        for value in values.values():
            kind = type(value)
            if kind is float:
                if value - value != 0.0:  # NaN and infinities, without a call
                    break
            elif kind is not int:
                break
        else:
            if count < until and type(step) is int and metrics is None:
                count += 1
                at = step
                at_ns = now
                append((now, step, values))
                return
        attend((now, step, values), metrics)

    def begin(
        now: Callable[[], int], take: Callable[[Any], object], look: Callable[[Call, Any], object]
    ) -> None:
        nonlocal clock, append, attend, count, until, at, at_ns
        count = until = at_ns = 0
        at = None
        clock, append, attend = now, take, look

    def end() -> None:
        nonlocal append, attend, until
        until = 0
        append = attend = _nothing

    def went(now: int, step: Any) -> None:
        nonlocal count, at, at_ns
        count += 1
        at, at_ns = step, now

    def allow(number: int) -> None:
        nonlocal until
        until = number

    def restart(now: int) -> None:
        nonlocal at_ns
        at_ns = now

    hot = Hot()
    hot.step, hot.open, hot.close, hot.went = step, begin, end, went
    hot.state, hot.allow, hot.restart = lambda: (count, at, at_ns), allow, restart
    return hot


def _nothing(*_: object) -> None:
    """Nobody listens."""
