"""What the supervisor tells, as OTLP through the emitter's own queue, sender and spool.

Not a Session: a supervisor has no steps and no heartbeat, and must not look like one more rank. Its records
have the role ``supervisor``, no rank unless they are about one, and an emitter id of their own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emitter import _endpoints, _exporters, _parts
from emitter._clock import Clock
from emitter._queue import Queue
from emitter._ranks import Identity
from emitter._records import ERROR
from emitter._sender import Sender
from emitter._settings import Settings
from emitter._surroundings import node_name
from emitter.otlp.encoder import Encoder
from emitter.vocabulary import attributes, events
from emitter.vocabulary.supervision import SUPERVISOR_ROLE

_OF_A_RANK = (attributes.RANK, attributes.LOCAL_RANK, attributes.WORLD_SIZE)


class Speaker:
    """Speaks in one attempt; with ``rank`` about that rank, with ``role`` in its place."""

    def __init__(
        self, settings: Settings, identity: Identity, *, rank: int | None = None, role: str = SUPERVISOR_ROLE
    ) -> None:
        me = replace(identity, emitter=os.urandom(16).hex())
        settings = replace(settings, role=role)
        resource = _parts.resource(settings, me, node_name())
        for name in _OF_A_RANK:
            resource.pop(name, None)
        if rank is not None:
            resource[attributes.RANK] = rank
        if role != SUPERVISOR_ROLE:
            resource[attributes.WORLD_SIZE] = identity.world_size
        self.clock = Clock()
        self._queue = Queue(settings.queue_size)
        # Without an endpoint the trainer says so; once is enough.
        known = _endpoints.find(settings) is not None
        exporter = _exporters.build(settings, me.emitter, f"{me.run_name}-{role}") if known else None
        backlog = _parts.backlog(settings, me, self._queue, exporter)
        self._shutdown_s = settings.shutdown_s
        self._sender = Sender(
            self._queue, exporter, Encoder(resource), self.clock, settings, lambda: None, backlog
        )
        self._sender.start()

    def lifecycle(self, state: str, step: int | None = None, **values: Any) -> None:
        """A ``train.lifecycle`` record; goes out at once."""
        self._offer(events.LIFECYCLE, {events.LIFECYCLE_STATE: state, **values}, step=step)

    def line(self, body: str, severity: int, about: Mapping[str, Any], step: int | None = None) -> None:
        """A ``train.log`` record."""
        self._queue.offer(
            self.clock.monotonic_ns(), events.LOG, about, step=step, body=body, severity=severity,
            rare=severity >= ERROR,
        )  # fmt: skip
        if severity >= ERROR:
            self._queue.wake.set()

    def stack(self, body: str, step: int | None = None, **values: Any) -> None:
        """A ``train.stack`` record; goes out at once."""
        self._offer(events.STACK, values, step=step, body=body)

    def close(self, timeout_s: float | None = None) -> None:
        """Send what is left, for at most this long."""
        self._queue.closed = True
        self._sender.close(self._shutdown_s if timeout_s is None else timeout_s)

    def _offer(
        self, name: str, values: Mapping[str, Any], *, step: int | None, body: str | None = None
    ) -> None:
        known = {key: value for key, value in values.items() if value is not None}
        self._queue.offer(self.clock.monotonic_ns(), name, known, step=step, body=body, rare=True)
        self._queue.wake.set()
