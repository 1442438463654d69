"""Calls that may hang: network disks, drivers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from emitter import _quiet
from emitter._guard import guard

T = TypeVar("T")


class Patient(Generic[T]):
    """A call that may hang, on a thread of its own; while one hangs, there is no answer and no second."""

    def __init__(self, name: str, call: Callable[[], T], patience_s: float = 1.0) -> None:
        self._name, self._call, self._patience_s = name, call, patience_s
        self._thread: threading.Thread | None = None

    def ask(self) -> T | None:
        """The answer, or None where it does not come within the patience, or raises."""
        if self._thread is not None and self._thread.is_alive():
            return None
        answers: list[T] = []
        self._thread = threading.Thread(
            target=self._answer, args=(answers,), name=f"trainwarden-{self._name}", daemon=True
        )
        self._thread.start()
        self._thread.join(self._patience_s)
        return answers[0] if answers else None

    def _answer(self, answers: list[T]) -> None:
        _quiet.ours()
        try:
            with guard:
                answers.append(self._call())
        finally:
            _quiet.done()
