"""Builds the probes of GPUs, progress and torch that the settings ask for; each is imported only when on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Protocol

from emitter.vocabulary import events

if TYPE_CHECKING:
    from emitter._session import Session

NVML_PATIENCE_S: Final = 60.0
"""A call to the driver that takes longer is reported; its thread is left behind."""


class Probe(Protocol):
    """What a session starts and closes."""

    def start(self) -> None:
        """Begin."""

    def close(self) -> None:
        """End; does not wait for what hangs."""


def build(session: Session, *, threads: bool) -> list[Probe]:
    """The probes of this session; those with a thread only where threads are wanted."""
    made: list[Probe] = []
    if threads:
        made += _gpus(session)
    return made


def _gpus(session: Session) -> list[Probe]:
    settings, identity = session.settings, session.identity
    if not settings.resources:
        return []
    from emitter.probes.gpu_choice import choose

    choice = choose(
        settings.gpus, local_rank=identity.local_rank, world_size=identity.world_size, environ=os.environ
    )
    if choice is None:
        return []
    from emitter.probes.gpu import GpuProbe
    from emitter.probes.ticker import Ticker

    probe = GpuProbe(choice, session.log)

    def sample() -> None:
        for values in probe.sample():
            offer(session, values)

    made: list[Probe] = [Ticker("gpus", settings.resources_s, sample, probe.close)]
    if settings.gpu_events:
        from emitter.probes.xid import XidProbe

        xids = XidProbe(probe, session.log)
        made.append(Ticker("xid", 0.1, xids.turn, xids.close))
    return made


def offer(session: Session, values: dict[str, Any]) -> None:
    """One ``train.resource``."""
    session.queue.offer(session.clock.monotonic_ns(), events.RESOURCE, values)
