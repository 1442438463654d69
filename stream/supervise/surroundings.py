"""What the supervisor has around it while it runs: a folder, signals, the line for commands."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from emitter._settings import Settings
from stream.supervise.attempt import RELAYED
from stream.supervise.listening import link
from stream.supervise.orders import Orders

_MEMORY: Final = Path("/dev/shm")


@contextmanager
def state_folder(wanted: Path | None) -> Iterator[Path]:
    """The folder that was asked for, which stays; else one in memory, which goes."""
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
        return
    base = _MEMORY if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None
    place = Path(tempfile.mkdtemp(prefix="trainwarden-run-", dir=base))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def signals(taken: Callable[[int], None]) -> Iterator[None]:
    """Hand in what comes; what was ignored before, as under nohup, stays ignored."""

    def take(number: int, frame: FrameType | None) -> None:
        taken(number)

    before = {
        number: signal.signal(number, take)
        for number in (*RELAYED, signal.SIGWINCH)
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def listening(settings: Settings, orders: Orders) -> Iterator[None]:
    """Commands come in, acknowledgements go out."""
    made = link(settings, orders)
    if made is not None:
        made.start()
    try:
        yield
    finally:
        if made is not None:
            made.close(settings.shutdown_s)
