"""``init``: settings, identity, session; once per process, and again in a forked child that asks."""

from __future__ import annotations

import atexit
import os
from typing import Any

from emitter import _api
from emitter._guard import guard, logger
from emitter._hooks import hold_signals, release_signals
from emitter._loading import after_fork, before_fork
from emitter._ranks import identify
from emitter._session import Session
from emitter._settings import resolve


def start(arguments: dict[str, Any]) -> None:
    """Begin a session. Raises SettingError for a bad argument; our own bugs leave the trainer without one."""
    settings = resolve(arguments)
    if settings.disabled:
        logger.info("the emitter is disabled by its settings")
        return
    give_way, _api._give_way = _api._give_way, None
    if give_way is not None:
        with guard:
            give_way()
    if _api._session is not None:
        logger.warning("init was called before and its session goes on; call shutdown first to start another")
        return
    with guard:
        session = Session(settings, identify(settings), _api._handlers, _api._tunables, hot=_api._hot)
        _watch()
        session.start()
        _api.use(session)


def _before_fork() -> None:
    before_fork()
    if _api._session is not None:
        hold_signals()


def _in_parent() -> None:
    release_signals()
    after_fork()


def _in_child() -> None:
    after_fork()
    _api._forked()
    release_signals()


def _watch() -> None:
    """Process-wide hooks, installed once."""
    if not _api._watching:
        _api._watching = True
        os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
        atexit.register(_api.shutdown)
