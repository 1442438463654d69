"""Measures how long the loop waits for torch's DataLoader, where its iterators hand out the next batch.

The class is changed and no object of the trainer: what it iterates over keeps its type, and a DataLoader that
exists already is measured too.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

MODULE: Final = "torch.utils.data.dataloader"


class DataWaitProbe:
    """Calls ``waited(nanoseconds)`` for each batch that the thread that made this probe has waited for."""

    def __init__(
        self, waited: Callable[[int], None], clock_ns: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._waited: Callable[[int], None] | None = waited
        self._clock_ns = clock_ns
        # Prefetching threads wait beside the loop, which is no loss to it.
        self._thread = threading.get_ident()
        self._undo: Callable[[], None] | None = None

    def start(self) -> None:
        """Measure, if the trainer has imported the DataLoader; may be called again until it has."""
        iterator: Any = getattr(sys.modules.get(MODULE), "_BaseDataLoaderIter", None)
        if (
            self._undo is not None
            or self._waited is None
            or "__next__" not in getattr(iterator, "__dict__", ())
        ):
            return
        before = iterator.__next__
        ours = self._wrap(before)

        def undo() -> None:
            if iterator.__next__ is ours:
                iterator.__next__ = _without_ended(before)
                # The one below may have ended in between, when it was not yet on top.
                iterator.__next__ = _without_ended(iterator.__next__)

        iterator.__next__ = ours
        self._undo = undo
        # The thread that looks for torch may be here while the session ends; a lock would not survive a fork.
        if self._ended():
            undo()

    def close(self) -> None:
        """Measure no more; where somebody wrapped us, stay in the chain and only pass on."""
        self._waited = None
        if self._undo is not None:
            self._undo()

    def _ended(self) -> bool:
        return self._waited is None

    def _wrap(self, before: Callable[[Any], Any]) -> Callable[[Any], Any]:
        clock_ns, thread, get_ident = self._clock_ns, self._thread, threading.get_ident

        def __next__(iterator: Any) -> Any:  # noqa: N807 - it is that method
            started = clock_ns()
            batch = before(iterator)
            waited = self._waited
            if waited is not None and get_ident() == thread:
                waited(clock_ns() - started)
            return batch

        __next__.probe, __next__.before = self, before  # type: ignore[attr-defined]
        return __next__


def _without_ended(method: Any) -> Any:
    """The method below those of probes that ended while another one stood on them."""
    while isinstance(probe := getattr(method, "probe", None), DataWaitProbe) and probe._ended():
        method = method.before
    return method
