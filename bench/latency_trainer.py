"""The trainer of ``bench/latency.py``: one session after the other, each until its handler has run."""

from __future__ import annotations

import json
import math
import random
import sys
import time
from typing import Any, Final

import emitter
from emitter import _api

_STEP_S: Final = 0.005
_CONNECT_S: Final = 30.0
_HANDLED_S: Final = 30.0
_WARM_UP_S: Final = (0.2, 0.5)
"""Steps before the bad value, at least and at most: it falls anywhere between two polls and two flushes."""


class _Loop:
    """Steps every 5 ms, and notes when the handler ran."""

    def __init__(self) -> None:
        self.step = 0
        self.handled_ns: int | None = None

    def save(self, command: Any) -> None:
        self.handled_ns = self.handled_ns or time.time_ns()

    def go(self, loss: float) -> None:
        emitter.step(self.step, loss=loss, learning_rate=0.1)
        self.step += 1
        time.sleep(_STEP_S)


def _listens() -> bool:
    link = _api._session.link if _api._session is not None else None
    return bool(getattr(link, "_connected", False))


def _trial(run: str) -> dict[str, Any]:
    loop = _Loop()
    emitter.on("save")(loop.save)
    emitter.init(run="latency", run_id=run)
    end = time.monotonic() + _CONNECT_S
    while not _listens():
        assert time.monotonic() < end, "no connection for commands"
        loop.go(1.0)
    end = time.monotonic() + random.uniform(*_WARM_UP_S)
    while time.monotonic() < end:
        loop.go(1.0)
    recorded_ns, end = time.time_ns(), time.monotonic() + _HANDLED_S
    while loop.handled_ns is None:
        assert time.monotonic() < end, f"run {run}: the handler did not run within {_HANDLED_S:g} s"
        loop.go(math.nan)
    emitter.shutdown()
    return {"run": run, "recorded": recorded_ns, "handled": loop.handled_ns}


def main() -> None:
    """As many trials as the argument says; a line of JSON for each."""
    for number in range(int(sys.argv[1])):
        print(json.dumps(_trial(f"latency-{number}")), flush=True)


if __name__ == "__main__":
    main()
