"""One run id for all ranks of a job that was given none: from their launcher, or over their store."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Final

STORE_S: Final = 10.0
"""How long a store may take to answer at the start."""

KEY: Final = "trainwarden/run-id"


def of_agent(name: str, environ: Mapping[str, str]) -> str | None:
    """From the folder of its own that torchrun's agent makes: the same for its ranks and for its restarts.

    None where there is no such agent, or one for each of several nodes.
    """
    there = PurePath(environ.get("TORCHELASTIC_ERROR_FILE", ""))
    size = environ.get("WORLD_SIZE")
    folder = next((parent for parent in there.parents if parent.name.startswith("attempt_")), None)
    if folder is None or size is None or environ.get("LOCAL_WORLD_SIZE") != size:
        return None
    return f"{name}-{hashlib.sha256(str(folder.parent).encode()).hexdigest()[:12]}"


def over_store(store: Any, offer: Callable[[], str]) -> str | None:
    """What the first rank has offered; waits for the store. None where there is none, or no answer."""
    from emitter import _quiet
    from emitter.agreement import host
    from emitter.agreement.ops import StoreLostError

    try:
        connect = host.find(store)
    except host.NoStoreError:
        return None
    answer: list[str] = []

    def ask() -> None:
        _quiet.ours()
        with contextlib.suppress(StoreLostError, RuntimeError):
            answer.append(connect().swap(KEY, offer()))
        _quiet.done()

    # In a thread: what torch waits for has limits of its own, and longer ones.
    thread = threading.Thread(target=ask, name="trainwarden-run-id", daemon=True)
    thread.start()
    thread.join(STORE_S)
    return answer[0] if answer else None
