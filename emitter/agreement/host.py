"""Finds the store that the ranks of a job have in common. Never imports torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from emitter.agreement.clients import Client

OFF: Final = "off"
CONNECT_S: Final = 60.0

Connect = Callable[[], Client]


class NoStoreError(Exception):
    """There is nothing that ranks could agree over; the message says why."""


def find(given: Any) -> Connect:
    """How to open connections to the store: the one that was given, else that of the process group.

    ``given`` is a store, ``tcp://host:port``, ``file:/path`` or None. Raises NoStoreError.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available():
        raise NoStoreError("torch.distributed is not in use")
    if isinstance(given, str):
        return _named(distributed, given)
    if given is not None:
        return _of(distributed, given)
    if not distributed.is_initialized():
        raise NoStoreError("torch.distributed is not initialised")
    return _of(distributed, sys.modules["torch.distributed.distributed_c10d"]._get_default_store())


def group_size() -> int:
    """Ranks in the process group of this process; 1 where there is none."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 1
    return int(distributed.get_world_size())


def _named(distributed: Any, url: str) -> Connect:
    parts = urlsplit(url)
    if parts.scheme == "tcp" and parts.hostname and parts.port:
        return _tcp(distributed, parts.hostname, parts.port)
    return _file(distributed, parts.path)


def _of(distributed: Any, store: Any) -> Connect:
    while isinstance(store, distributed.PrefixStore):
        store = store.underlying_store
    if isinstance(store, distributed.TCPStore):
        return _tcp(distributed, store.host, store.port)
    if isinstance(store, distributed.FileStore):
        return _file(distributed, store.path)
    raise NoStoreError(f"cannot agree over a {type(store).__name__}; a TCPStore or a FileStore is needed")


def _tcp(distributed: Any, host: str, port: int) -> Connect:
    return lambda: Client(
        distributed.TCPStore(
            host, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=CONNECT_S)
        )
    )


def _file(distributed: Any, path: str) -> Connect:
    # Without a number of workers: the file is not ours to delete.
    return lambda: Client(distributed.FileStore(path, -1))
