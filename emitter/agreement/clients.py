"""Connections of our own to a store of ``torch.distributed``, in one form for TCPStore and FileStore.

TCPStore: one object does one call at a time, so waits have a connection of their own; ``compare_set`` against
a server that stands still is not ended by the client's timeout, so short calls are made in a thread that can
be given up on; a wait that ends by its limit prints warnings, so limits are long.
"""

from __future__ import annotations

import threading
import time
from _queue import SimpleQueue  # a file of the trainer may be called queue
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

from emitter import _quiet
from emitter.agreement.ops import StoreLostError

T = TypeVar("T")

BOUND_S: Final = 10.0
"""A short call that takes longer is given up on, and the store with it."""

FOREVER_S: Final = 20 * 86400.0
"""As milliseconds this still fits the 32 bits that poll(2) takes."""

_SLICE_S: Final = 0.5


class Client:
    """One connection; one call at a time. Raises StoreLostError where the store does not answer."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def put(self, key: str, value: str) -> None:
        """Write; TCPStore does not acknowledge it."""
        self._try(lambda: self._store.set(key, value))

    def swap(self, key: str, value: str) -> str:
        """Write if the key is missing; the value that is there now."""
        return str(self._try(lambda: self._store.compare_set(key, "", value)).decode())

    def count(self, key: str) -> int:
        """Add one; the sum."""
        return int(self._try(lambda: self._store.add(key, 1)))

    def peek(self, keys: tuple[str, ...]) -> tuple[str | None, ...]:
        """The values that are there, without waiting for others."""
        return tuple(self._try(lambda key=key: self._read(key)) for key in keys)  # type: ignore[misc]

    def drop(self, keys: tuple[str, ...]) -> None:
        """Delete."""
        for key in keys:
            self._try(lambda key=key: self._store.delete_key(key))  # type: ignore[misc]

    def wait(self, keys: tuple[str, ...], limit_s: float | None) -> bool:
        """Wait until all keys are there; False where the limit came first."""
        limit_s = FOREVER_S if limit_s is None else limit_s
        began = time.monotonic()
        try:
            self._store.wait(list(keys), timedelta(seconds=limit_s))
        except RuntimeError as error:  # FileStore has no class of its own for an end by the limit
            if time.monotonic() - began >= limit_s:
                return False
            raise StoreLostError(_said(error)) from error
        return True

    def _read(self, key: str) -> str | None:
        return str(self._store.get(key).decode()) if self._store.check([key]) else None

    def _try(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except RuntimeError as error:
            raise StoreLostError(_said(error)) from error


class Bounded:
    """Makes short calls in a thread of its own, so that a store that stands still holds nobody else."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.lost = ""
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Callable[[Client], T], limit_s: float = BOUND_S) -> T:
        """The result. Raises StoreLostError when it fails, or takes longer than the limit."""
        if self.lost:
            raise StoreLostError(self.lost)
        answer: list[T] = []
        failed: list[StoreLostError] = []
        ended = threading.Event()

        def do() -> None:
            try:
                answer.append(work(self._client))
            except StoreLostError as error:
                failed.append(error)
            finally:
                ended.set()

        self._work.put(do)
        # In slices: after a stop of this process one slice has passed, not the whole limit.
        for _ in range(max(1, round(limit_s / _SLICE_S))):
            if ended.wait(_SLICE_S):
                break
        else:
            self.lost = f"no answer within {limit_s:g} s"
            raise StoreLostError(self.lost)
        if not answer:
            self.lost = str(failed[0]) if failed else "internal error"
            raise StoreLostError(self.lost)
        return answer[0]

    def post(self, work: Callable[[Client], object]) -> None:
        """Do it some time; a failure shows at the next call."""

        def do() -> None:
            try:
                work(self._client)
            except StoreLostError as error:
                self.lost = self.lost or str(error)

        self._work.put(do)

    def close(self, timeout_s: float) -> None:
        """Do what waits, for at most this long, and end the thread."""
        self._work.put(None)
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        _quiet.ours()
        try:
            while (work := self._work.get()) is not None:
                if not self.lost:
                    work()
        finally:
            _quiet.done()


def _said(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
