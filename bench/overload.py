"""50,000 step() calls a second for three seconds: what our threads compute, and what the queue holds at most.

Processes of their own, ours and the SDK's, each against a receiver that answers and against one that is away.
Calls keep their pace as far as the machine allows; ours have to arrive or be counted, to the last one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.row import Row
from bench.sink import sink
from bench.step_call import Call, otel, ours

_PER_SECOND: Final = 50_000
_SECONDS: Final = 3
_BURST: Final = 500
_AWAY: Final = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""

_LIMIT: Final = 16_384


def _drive(call: Call) -> dict[str, float]:
    """Call at the pace; microseconds of other threads' CPU a call, MB that memory grew, calls a second."""
    call(0, 1.0, 1.0)
    before, own, began = time.process_time(), time.thread_time(), time.monotonic()
    least, most, calls = _memory(), 0.0, _PER_SECOND * _SECONDS
    for burst in range(calls // _BURST):
        for place in range(_BURST):
            call(burst * _BURST + place, 1.0, 1.0)
        time.sleep(max(0.0, began + (burst + 1) * _BURST / _PER_SECOND - time.monotonic()))
        most = max(most, _memory())
    others = time.process_time() - before - (time.thread_time() - own)
    return {
        "cpu_us": others / calls * 1e6, "memory_mb": (most - least) / 1e6,
        "per_second": calls / (time.monotonic() - began),
    }  # fmt: skip


def _memory() -> float:
    """Bytes resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _run(arm: str, url: str) -> None:
    """Print what was found; ours with what was lost."""
    if arm == "sdk":
        with otel(url) as call:
            print(json.dumps(_drive(call)))
        return
    from emitter import _api

    with ours(url, logs=False, resources=False, spool="off", queue_size=_LIMIT) as call:
        session = _api._session
        found = _drive(call)
    assert session is not None
    lost = {f"lost.{reason}": count for reason, count in session.queue.totals.items()}
    print(json.dumps(found | lost))


def _found(arm: str, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.overload", arm, url]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _accounted(found: dict[str, float], arrived: int) -> None:
    """Raises RuntimeError where a call neither arrived nor was counted."""
    lost = sum(int(count) for name, count in found.items() if name.startswith("lost."))
    calls = _PER_SECOND * _SECONDS + 1
    # What frames a run is lost with it when nobody listens.
    if not calls <= arrived + lost <= calls + (0 if arrived else 10):
        raise RuntimeError(f"expected {calls} calls, {arrived} arrived and {lost} were counted as lost")


def measure() -> list[Row]:
    """CPU of the tools' threads and growth of memory, with the receiver there and away."""
    rows = []
    for place in ("there", "away"):
        with sink() as server:
            url = server.url if place == "there" else _AWAY
            mine, theirs = _found("ours", url), _found("sdk", url)
            _accounted(mine, server.counts().get("train.step", 0))
        what = f"50,000 calls/s, receiver {place}"
        rows += [
            Row(f"{what}: CPU of other threads a call", mine["cpu_us"], theirs["cpu_us"], "us", "OTel SDK"),
            Row(
                f"{what}: memory grew",
                mine["memory_mb"],
                theirs["memory_mb"],
                "MB",
                "OTel SDK, 2,048 records",
            ),
            Row(f"{what}: pace kept", mine["per_second"], theirs["per_second"], "/s", "OTel SDK"),
        ]
    return rows


if __name__ == "__main__":
    _run(*sys.argv[1:3])
