"""How a process ends, seen from inside: uncaught exceptions, ``sys.exit``, SIGTERM, and fork."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Protocol

from emitter._guard import guard

Handler = Callable[[int, FrameType | None], Any] | int | None


_held = threading.local()


def hold_signals() -> None:
    """Before a fork. Python drops a signal that reaches the child before its hooks have run, and with it
    the SIGTERM that ends a DataLoader worker; held back, it meets the child with our handler gone.
    """
    _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def release_signals() -> None:
    """After the fork, in parent and child."""
    mask = getattr(_held, "mask", None)
    if mask is not None:
        _held.mask = None
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Listener(Protocol):
    """What the session wants to know."""

    def crashed(self, error: BaseException) -> None:
        """An exception ends the process."""

    def thread_crashed(self, error: BaseException, thread: str) -> None:
        """An exception ended a thread; the process goes on."""

    def exiting(self, code: object) -> None:
        """``sys.exit(code)`` was called; the trainer may still catch it."""

    def signalled(self, number: int, *, deadly: bool) -> None:
        """A signal came; ``deadly`` when nothing but us stands between it and the end."""


class Hooks:
    """Wraps what was there and calls it afterwards; ``remove`` takes only its own wrappers away."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._removers: list[Callable[[], None]] = []
        self._old_handler: Handler = None

    def install(self) -> None:
        """Wrap the hooks; the signal only from the main thread, and only where it is not ignored."""
        self._wrap(sys, "excepthook", self._excepthook)
        self._wrap(threading, "excepthook", self._thread_hook)
        self._wrap(sys, "exit", self._exit)
        if threading.current_thread() is threading.main_thread():
            self._take_signal()

    def remove(self) -> None:
        """Put back what was there, where nobody wrapped us in the meantime."""
        while self._removers:
            with guard:
                self._removers.pop()()

    def _wrap(self, module: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        before = getattr(module, name)
        ours = make(before)
        setattr(module, name, ours)

        def restore() -> None:
            if getattr(module, name) is ours:
                setattr(module, name, before)

        self._removers.append(restore)

    def _excepthook(self, before: Callable[..., Any]) -> Callable[..., Any]:
        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            with guard:
                self._listener.crashed(error)
            before(kind, error, trace)

        return hook

    def _thread_hook(self, before: Callable[..., Any]) -> Callable[..., Any]:
        def hook(args: threading.ExceptHookArgs) -> None:
            if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
                with guard:
                    name = args.thread.name if args.thread is not None else "unknown"
                    self._listener.thread_crashed(args.exc_value, name)
            before(args)

        return hook

    def _exit(self, before: Callable[..., Any]) -> Callable[..., Any]:
        def exit(code: object = None, /) -> Any:
            with guard:
                self._listener.exiting(code)
            return before(code)

        return exit

    def _take_signal(self) -> None:
        old: Handler = signal.getsignal(signal.SIGTERM)
        # None: a handler that C code installed and that we could not put back.
        if old is None or old == signal.SIG_IGN:
            return
        self._old_handler = old
        signal.signal(signal.SIGTERM, self._on_signal)

        def restore() -> None:
            main = threading.current_thread() is threading.main_thread()
            if main and signal.getsignal(signal.SIGTERM) == self._on_signal:
                signal.signal(signal.SIGTERM, old)

        self._removers.append(restore)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        old = self._old_handler
        deadly = not callable(old)
        with guard:
            self._listener.signalled(number, deadly=deadly)
        if callable(old):
            old(number, frame)
            return
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
