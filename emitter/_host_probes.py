"""Builds the probes of logs and endpoints that the settings ask for; each is imported only when on.

One process a node reads what belongs to the node: the kernel log, and files and endpoints whose name does not
say ``{rank}`` or ``{local_rank}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from emitter._guard import guard
from emitter._ranks import Identity
from emitter.vocabulary import events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emitter._session import Session
    from emitter.probes.xid_echo import XidEchoes

_EACH: Final = ("{rank}", "{local_rank}")


class Part(Protocol):
    """What a session starts and closes."""

    def start(self) -> None:
        """Begin."""

    def close(self) -> None:
        """End; does not wait for what hangs."""


def build(session: Session, echoes: XidEchoes) -> list[Part]:
    """The probes of this session that need a thread; ``echoes`` hears what the kernel says of GPUs."""
    settings, identity = session.settings, session.identity
    made: list[Part] = []
    with guard:
        if settings.kernel_log and identity.local_rank == 0:
            made.append(_kernel_log(session, echoes))
        if settings.console:
            made.append(_console(session))
        if files := places(settings.tail or (), identity):
            made.append(_tail(session, files))
        made += [_scrape(session, url) for url in places(settings.scrape or (), identity)]
    return made


def places(names: tuple[str, ...], identity: Identity) -> tuple[str, ...]:
    """Those of these files or endpoints that are this process's, with its numbers put in."""
    mine = [name for name in names if identity.local_rank == 0 or any(word in name for word in _EACH)]
    numbers = {
        "rank": identity.rank,
        "local_rank": identity.local_rank,
        "node_rank": identity.node_rank or 0,
    }
    return tuple(_filled(name, numbers) for name in mine)


def _filled(name: str, numbers: Mapping[str, int]) -> str:
    for word, number in numbers.items():
        name = name.replace(f"{{{word}}}", str(number))
    return name


def _kernel_log(session: Session, echoes: XidEchoes) -> Part:
    from emitter.probes.claim import Claim
    from emitter.probes.kernel_log import EVERY_S, KernelLog
    from emitter.probes.worker import Worker

    def emit(line: str, severity: int, about: Mapping[str, Any]) -> None:
        session.log(line, severity, about)
        echoes.heard(line)

    probe = KernelLog(
        emit,
        session.settings.lines_per_s,
        claim=Claim("kernel-log", session.identity.run),
        told=_teller(session, "kernel_log"),
    )
    echoes.listening = lambda: probe.reading
    return Worker("kernel-log", EVERY_S, probe.turn, probe.close)


def _console(session: Session) -> Part:
    from emitter.probes.console import Console, Listening

    settings = session.settings
    console = Console(
        session.log,
        settings.lines_per_s,
        logs=settings.logs,
        hooks=settings.hooks,
        told=_teller(session, "console"),
    )
    return Listening(console)


def _tail(session: Session, files: tuple[str, ...]) -> Part:
    from emitter.probes.tail import EVERY_S, Tail
    from emitter.probes.worker import Worker

    probe = Tail(files, session.log, session.settings.lines_per_s, told=_teller(session, "tail"))
    return Worker("tail", EVERY_S, probe.turn, probe.close)


def _scrape(session: Session, url: str) -> Part:
    from emitter.probes.scrape import Scrape
    from emitter.probes.ticker import Ticker

    def offer(values: dict[str, Any]) -> None:
        session.queue.offer(session.clock.monotonic_ns(), events.METRIC, values)

    settings = session.settings
    probe = Scrape(url, offer, settings.scrape_keep or (), told=_teller(session, "scrape"))
    return Ticker("scrape", settings.scrape_s, probe.turn)


def _teller(session: Session, probe: str) -> Callable[[str], None]:
    return lambda trouble: _tell(session, probe, trouble)


def _tell(session: Session, probe: str, trouble: str) -> None:
    """What a probe cannot do goes into ``train.emitter.report``."""
    values = {f"{events.PROBE_PREFIX}{probe}": trouble}
    session.queue.offer(session.clock.monotonic_ns(), events.EMITTER_REPORT, values, rare=True)
