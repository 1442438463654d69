"""The lifecycle of one checkpoint as spans: checkpoint.save with stage, write and verify inside."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from emitter._clock import Clock
from emitter._guard import guard
from emitter._queue import Queue
from emitter._records import Span
from emitter._values import clip, scalar
from emitter.vocabulary import attributes, events


class Checkpoint:
    """What ``emitter.checkpoint`` returns. Marks are made when a part is *done*:

    ``stage()`` when the state has been copied away from the device, ``written()`` when the files are
    complete, ``verified()`` when they were read back and found right. Parts that are not marked are
    not reported. An exception inside marks the span failed and goes on.
    """

    def __init__(
        self, queue: Queue, clock: Clock, step: int | None, path: object, kind: str,
        busy: Callable[[bool], None], saved: Callable[[Mapping[str, Any]], None],
    ) -> None:  # fmt: skip
        self._queue, self._clock, self._busy, self._step = queue, clock, busy, step
        self._saved = saved
        self._attributes: dict[str, Any] = {
            events.CHECKPOINT_PATH: clip(os.fspath(path) if isinstance(path, os.PathLike) else str(path)),
            events.CHECKPOINT_KIND: kind,
            events.CHECKPOINT_VERIFIED: False,
        }
        self._set(events.CHECKPOINT_STEP, step)
        self._set(attributes.STEP, step)
        self._trace, self._id = _random_id(16), _random_id(8)
        self._start_ns = self._mark_ns = clock.unix_ns()

    def stage(self) -> None:
        """The state has been copied; training could go on from here."""
        self._part(events.CHECKPOINT_STAGE)

    def written(self, *, bytes: int | None = None) -> None:
        """The files are complete; ``bytes`` is their size."""
        self._set(events.CHECKPOINT_BYTES, bytes)
        self._part(events.CHECKPOINT_WRITE)

    def verified(self, *, checksum: str | None = None) -> None:
        """The files were read back and are right."""
        self._attributes[events.CHECKPOINT_VERIFIED] = True
        self._set(events.CHECKPOINT_CHECKSUM, checksum)
        self._part(events.CHECKPOINT_VERIFY)

    def release(self) -> None:
        """Training goes on; what is left, such as reading the files back, happens beside it."""
        with guard:
            busy, self._busy = self._busy, _not_busy
            busy(False)
            self._queue.wake.set()

    def __enter__(self) -> Checkpoint:
        """Start: an event of its own, because a span that never ends is never sent."""
        with guard:
            self._busy(True)
            self._start_ns = self._mark_ns = self._clock.unix_ns()
            names = (events.CHECKPOINT_STEP, events.CHECKPOINT_PATH, events.CHECKPOINT_KIND)
            values = {name: self._attributes[name] for name in names if name in self._attributes}
            self._queue.offer(
                self._clock.monotonic_ns(), events.CHECKPOINT_STARTED, values, step=self._step, rare=True
            )
            self._queue.wake.set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the span; the exception, if there is one, goes on."""
        with guard:
            failure = None if error is None else clip(f"{type(error).__name__}: {error}")
            self._span(events.CHECKPOINT_SAVE, self._id, None, self._start_ns, failure)
            self._busy(False)
            self._queue.wake.set()
        if error is None:
            with guard:
                self._saved(self._attributes)

    def _set(self, name: str, value: Any) -> None:
        """A value that cannot be read is left out: the checkpoint itself goes on."""
        with contextlib.suppress(Exception):
            if value is not None:
                self._attributes[name] = scalar(value)

    def _part(self, name: str) -> None:
        with guard:
            start_ns, self._mark_ns = self._mark_ns, self._clock.unix_ns()
            self._span(name, _random_id(8), self._id, start_ns, None)

    def _span(self, name: str, span: int, parent: int | None, start_ns: int, error: str | None) -> None:
        end_ns = self._clock.unix_ns()
        self._queue.offer_span(
            Span(name, self._trace, span, parent, start_ns, end_ns, dict(self._attributes), error)
        )


class NoCheckpoint:
    """The same face before ``init``: does nothing."""

    def stage(self) -> None:
        """Nothing."""

    def written(self, *, bytes: int | None = None) -> None:
        """Nothing."""

    def verified(self, *, checksum: str | None = None) -> None:
        """Nothing."""

    def release(self) -> None:
        """Nothing."""

    def __enter__(self) -> NoCheckpoint:
        """Nothing."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing."""


def _not_busy(on: bool) -> None:
    """The phase was left before."""


def _random_id(size: int) -> int:
    """Never zero, and never out of the trainer's own random state."""
    return int.from_bytes(os.urandom(size), "big") | 1
