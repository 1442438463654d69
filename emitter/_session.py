"""One session: from ``init`` to ``shutdown``. Puts the parts together; ``step`` is its hot path."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from emitter import _parts, _probes, _tensors
from emitter._clock import Clock
from emitter._exits import Restart
from emitter._guard import guard
from emitter._hooks import Hooks
from emitter._hot import Hot
from emitter._queue import Queue
from emitter._ranks import Identity
from emitter._records import ERROR, FATAL, Exporter
from emitter._sender import Sender
from emitter._settings import Settings
from emitter._steps import Steps
from emitter._surroundings import node_name
from emitter._values import Reading, merge
from emitter.checkpoints.spans import Checkpoint
from emitter.probes.logs import exception_attributes
from emitter.vocabulary import attributes, events, supervision
from emitter.vocabulary.commands import Command

_S = 1e-9
DEADLY_SIGNAL_S = 2.0
"""Longest wait for the last records when SIGTERM ends the process."""


class Session:
    """All between ``init`` and ``shutdown``. ``threads=False`` leaves the turns to the caller."""

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        handlers: dict[str, Callable[[Command], Any]],
        tunables: dict[str, Any],
        *,
        clock: Clock | None = None,
        exporter: Exporter | None = None,
        threads: bool = True,
        hot: Hot | None = None,
    ) -> None:
        self.settings, self.identity = settings, identity
        self.clock = clock or Clock()
        self.queue = Queue(settings.queue_size)
        self.closed = False
        self._threads = threads
        self.node = node_name()
        self._monotonic_ns = self.clock.monotonic_ns
        self.steps = Steps(self.queue, self._monotonic_ns, self._boundary, hot)
        self.step, self.arm, self.beside = self.steps.step, self.steps.arm, self.steps.beside
        self._changed_ns = self._beat_ns = self._monotonic_ns()
        self._beat_now = True
        self._phases: list[str] = []
        self.phase_listeners: list[Callable[[], None]] = []
        """Called in the trainer's thread when a phase other than ``data`` begins or ends."""
        self._exit: tuple[object, int] | None = None
        self.restarting: Restart | None = None
        self._ending: dict[str, Any] = {}
        self.exporter = exporter or _parts.exporter(settings, identity)
        encoder = _parts.encoder(settings, identity, self.node)
        backlog = _parts.backlog(settings, identity, self.queue, self.exporter)
        self.sender = Sender(
            self.queue, self.exporter, encoder, self.clock, settings, self.pulse, backlog, self._told
        )
        self.commander = _parts.commander(self, handlers, tunables)
        self.group = _parts.group(self) if threads else None
        self.link = _parts.link(settings, identity, self.commander) if threads else None
        self.sampler = _parts.sampler(settings, identity, self.queue, self.clock)
        self.logs = _parts.logs(settings, self.log)
        self.hooks = Hooks(self) if settings.hooks else None
        self.probes = _probes.build(self, threads=threads)

    def start(self) -> None:
        """Say that we started, and set the background threads going."""
        state = events.RESUMED if self.identity.attempt else events.STARTED
        self.lifecycle(state)
        if self._threads:
            self.sender.start()
            for part in (self.sampler, self.group, self.link):
                if part is not None:
                    part.start()
        if self.logs is not None:
            self.logs.start()
        if self.hooks is not None:
            self.hooks.install()
        for probe in self.probes:
            with guard:
                probe.start()

    def offer(self, name: str, values: Mapping[str, Any], **more: Any) -> None:
        """Any other record, its values read now where the caller may change them."""
        reading = Reading(texts=name != events.EVAL)
        taken = reading.all(values)
        self.queue.offer(self._monotonic_ns(), name, taken, reading=reading, **more)

    def waited(self, nanoseconds: int) -> None:
        """Time that the loop waited for data; not counted in other phases, ``data`` measures itself."""
        if not self._phases or self._phases[-1] == "train":
            self.steps.waited(nanoseconds)

    def training(self) -> tuple[int, int] | None:
        """Steps so far, and when progress was last made (monotonic ns); None in a phase that may be long."""
        if self._phases and self._phases[-1] not in ("train", "data"):
            return None
        return self.steps.count, self.progress_ns

    @property
    def current_phase(self) -> str:
        """What the trainer is busy with."""
        phases = self._phases
        return phases[-1] if phases else ("train" if self.steps.count else "init")

    @property
    def progress_ns(self) -> int:
        """When progress was last made: a step, or another phase (monotonic)."""
        return max(self._changed_ns, self.steps.at_ns)

    def merged(self, given: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Both, the named values winning; what is no mapping is counted and left out."""
        return merge(given, values, self.queue.lose_value)

    def log(self, body: str, severity: int, values: Mapping[str, Any], *, rare: bool = False) -> None:
        """A ``train.log`` record at the step we are at; a ``rare`` one also when the queue is full."""
        self.offer(events.LOG, values, step=self.at_step(), body=body, severity=severity, rare=rare)
        if severity >= ERROR:
            self.queue.wake.set()

    def lifecycle(self, state: str, **values: Any) -> None:
        """A ``train.lifecycle`` record; goes out at once."""
        self.offer(
            events.LIFECYCLE, {events.LIFECYCLE_STATE: state, **values}, step=self.at_step(), rare=True
        )
        self.queue.wake.set()

    def checkpoint(self, step: int | None, path: object, kind: str) -> Checkpoint:
        """The spans of one checkpoint."""
        return Checkpoint(
            self.queue, self.clock, self.at_step() if step is None else step, path, kind, self._checkpointing,
            self._saved,
        )  # fmt: skip

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Heartbeats carry this phase inside the block; time in ``data`` becomes ``data_time``."""
        started = self._monotonic_ns()
        self._enter(name)
        try:
            yield
        finally:
            self._leave(name)
            if name == "data":
                self.steps.waited(self._monotonic_ns() - started)

    def at_step(self) -> int | None:
        """The step we are at, where it is a plain number."""
        step = self.steps.at
        return step if type(step) is int else None

    def pulse(self) -> None:
        """Offer a heartbeat when one is due, or when the phase has changed."""
        now = self._monotonic_ns()
        if not self._beat_now and (now - self._beat_ns) * _S < self.settings.heartbeat_s:
            return
        self._beat_now, self._beat_ns = False, now
        values = {attributes.PHASE: self.current_phase, events.PROGRESS_AGE: (now - self.progress_ns) * _S}
        self.queue.offer(now, events.HEARTBEAT, values, step=self.at_step(), rare=True)

    def crashed(self, error: BaseException) -> None:
        """The process ends by an exception that nobody caught."""
        if self.closed:
            return
        found = exception_attributes(error)
        if isinstance(error, KeyboardInterrupt):
            self._ending = {events.LIFECYCLE_STATE: events.KILLED, events.EXIT_SIGNAL: 2}
            return
        self._ending = {events.LIFECYCLE_STATE: events.FAILED, events.EXIT_CODE: 1, **found}
        more = {**found, **_probes.of_exception(error)}
        self._report(found[events.EXCEPTION_STACKTRACE], FATAL, more)

    def thread_crashed(self, error: BaseException, thread: str) -> None:
        """A thread of the trainer ended by an exception; the process goes on."""
        if not self.closed:
            found = exception_attributes(error)
            self._report(found[events.EXCEPTION_STACKTRACE], ERROR, {**found, "thread.name": thread})

    def _report(self, trace: str, severity: int, values: Mapping[str, Any]) -> None:
        self.log(trace, severity, values, rare=True)
        if os.environ.get(supervision.ENV_PULSE):
            from emitter import _pulse

            _pulse.reported(trace)

    def exiting(self, code: object) -> None:
        """Remember the exit code; a later step shows that the exit was caught."""
        self._exit, self.restarting = (code, self.steps.count), None

    def signalled(self, number: int, *, deadly: bool) -> None:
        """A signal asks the process to end; if nobody else handles it, this is the last chance to send."""
        if self.closed:
            return
        self._ending = {events.LIFECYCLE_STATE: events.KILLED, events.EXIT_SIGNAL: number}
        if not deadly:
            return
        # Not on this thread: the code it interrupted may hold a lock that we need.
        last = threading.Thread(
            target=self.close, args=(DEADLY_SIGNAL_S,), name="trainwarden-end", daemon=True
        )
        last.start()
        last.join(DEADLY_SIGNAL_S + 0.5)

    def close(self, timeout_s: float | None = None) -> None:
        """Say how it ended, send what is left within the time allowed, stop the threads."""
        if self.closed:
            return
        self.closed = True
        left = _parts.Deadline(self.settings.shutdown_s if timeout_s is None else timeout_s)
        with guard:
            self._stop_listening()
            self.commander.close()
            self.lifecycle(**self._said(self.outcome()))
            self.queue.closed = True
            if self.group is not None:
                self.group.close(left())
            if self.link is not None:
                self.link.close(left())
            self.sender.close(left())
            _tensors.close()

    def abandon(self) -> None:
        """After a fork, in the child: no threads, nothing sent, as if there were no session."""
        self.closed = True
        _tensors.forget()
        with guard:
            self.sender.abandon()
        self._stop_listening()

    def _told(self) -> None:
        """Something urgent is on its way: a command may come of it."""
        if self.link is not None:
            self.link.expect()

    def _stop_listening(self) -> None:
        with guard:
            if self.hooks is not None:
                self.hooks.remove()
            if self.logs is not None:
                self.logs.stop()
            if self.sampler is not None:
                self.sampler.close()
        for probe in self.probes:
            with guard:
                probe.close()

    def outcome(self) -> dict[str, Any]:
        """How it ends, as far as it is known: the values of the last lifecycle record."""
        return dict(self._ending) or self._exit_outcome()

    @staticmethod
    def _said(ending: dict[str, Any]) -> dict[str, Any]:
        return {"state": ending.pop(events.LIFECYCLE_STATE), **ending}

    def _exit_outcome(self) -> dict[str, Any]:
        code = self._exit[0] if self._exit and self._exit[1] == self.steps.count else None
        number = 0 if code is None else code if isinstance(code, int) else 1
        failed = events.KILLED if self.restarting else events.FAILED
        state = failed if number else events.FINISHED
        return {events.LIFECYCLE_STATE: state, events.EXIT_CODE: number}

    def _boundary(self) -> None:
        try:
            with guard:
                self.commander.boundary(self.at_step())
        except SystemExit as error:
            self.exiting(error.code)
            self.restarting = error if isinstance(error, Restart) else None
            raise

    def _enter(self, name: str) -> None:
        self._phases.append(name)
        self._changed(name)

    def _leave(self, name: str) -> None:
        with contextlib.suppress(ValueError):
            self._phases.remove(name)
        self._changed(name)

    def _changed(self, name: str) -> None:
        self._changed_ns = self._monotonic_ns()
        if name == "data":  # once a step would be too often
            return
        self._beat_now = True
        for tell in self.phase_listeners:
            tell()

    def _saved(self, about: Mapping[str, Any]) -> None:
        if os.environ.get(supervision.ENV_PULSE):
            from emitter import _pulse

            _pulse.saved(self.identity.rank, about)

    def _checkpointing(self, on: bool) -> None:
        (self._enter if on else self._leave)("checkpoint")

    def pausing(self, on: bool) -> None:
        """The loop is held by a command, or let go."""
        (self._enter if on else self._leave)("paused")
        self.queue.wake.set()
