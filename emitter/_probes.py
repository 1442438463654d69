"""Builds the probes of GPUs, progress and torch that the settings ask for; each is imported only when on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from emitter import _host_probes
from emitter._guard import guard
from emitter.vocabulary import events, supervision

if TYPE_CHECKING:
    from emitter._session import Session
    from emitter.probes.xid_echo import XidEchoes

WATCH_S: Final = 1.0


class Probe(Protocol):
    """What a session starts and closes."""

    def start(self) -> None:
        """Begin."""

    def close(self) -> None:
        """End; does not wait for what hangs."""


def build(session: Session, *, threads: bool) -> list[Probe]:
    """The probes of this session; those with a thread only where threads are wanted."""
    settings = session.settings
    made: list[Probe] = []
    looks: list[Callable[[], None]] = []
    if settings.data_wait:
        from emitter.probes.torch_data import DataWaitProbe

        waits = DataWaitProbe(session.waited)
        made.append(waits)
        looks.append(waits.start)
    if settings.torch_memory:
        from emitter.probes.torch_oom import OomProbe

        ooms = OomProbe(session.log, settings.oom_dump, session.identity.rank)
        made.append(ooms)
        looks.append(ooms.start)
    if threads:
        with guard:
            made += _pulse(session)
        from emitter.probes.xid_echo import XidEchoes

        echoes = XidEchoes()
        made += _host_probes.build(session, echoes)
        with guard:
            made += _gpus(session, looks, echoes) + _torch_memory(session) + _watcher(session, looks)
    return made


def _pulse(session: Session) -> list[Probe]:
    if not os.environ.get(supervision.ENV_PULSE):
        return []
    from emitter import _pulse

    place = _pulse.folder()
    return [] if place is None else [_pulse.PulseFile(session, place)]


def dump_stacks(session: Session, reason: str, **values: Any) -> None:
    """One ``train.stack`` of this process; goes out at once."""
    from emitter.probes.stacks import stacks

    session.queue.offer(
        session.clock.monotonic_ns(),
        events.STACK,
        {"stack.reason": reason, **values},
        step=session.at_step(),
        body=stacks(),
        rare=True,
    )
    session.queue.wake.set()


def of_exception(error: BaseException) -> dict[str, Any]:
    """GPU memory as attributes, where torch ran out of it and the trainer has torch at all."""
    if "torch" not in sys.modules:
        return {}
    from emitter.probes.torch_oom import attributes_of

    return attributes_of(error)


def _gpus(session: Session, looks: list[Callable[[], None]], echoes: XidEchoes) -> list[Probe]:
    settings, identity = session.settings, session.identity
    if not settings.resources:
        return []
    from emitter.probes.gpu_choice import choose

    choice = choose(
        settings.gpus, local_rank=identity.local_rank, world_size=identity.world_size, environ=os.environ
    )
    if choice is None:
        return []
    from emitter.probes.gpu_threads import GpuThreads

    threads = GpuThreads(
        choice, session.log, lambda values: _offer_all(session, [values]), settings.resources_s,
        xids=settings.gpu_events, echoes=echoes,
    )  # fmt: skip
    looks.append(threads.check)
    return [threads]


def _torch_memory(session: Session) -> list[Probe]:
    settings = session.settings
    if not (settings.resources and settings.torch_memory):
        return []
    from emitter.probes import torch_memory
    from emitter.probes.ticker import Ticker

    # Its own thread: the allocator's lock is held as long as the driver likes.
    return [Ticker("torch", settings.resources_s, lambda: _offer_all(session, torch_memory.sample()))]


def _watcher(session: Session, looks: list[Callable[[], None]]) -> list[Probe]:
    """The thread that looks every second: for a stall, a driver that hangs, and torch that comes late."""
    settings = session.settings
    if settings.stacks:
        from emitter.probes.stalls import StallProbe

        stalls = StallProbe(
            session.training, session.clock.monotonic_ns, lambda reason: dump_stacks(session, reason),
            floor_s=settings.stall_s, factor=settings.stall_factor,
        )  # fmt: skip
        looks.append(stalls.tick)
    if not looks:
        return []
    from emitter.probes.ticker import Ticker

    def look() -> None:
        for one in looks:
            with guard:
                one()

    return [Ticker("watch", WATCH_S, look)]


def _offer_all(session: Session, rows: list[dict[str, Any]]) -> None:
    for values in rows:
        session.queue.offer(session.clock.monotonic_ns(), events.RESOURCE, values)
