"""``train.placements``: which runs a host carries, so that what a node says reaches the runs on it.

Compacted, keyed by host; the arbiter of remediation is its one writer. The record of a host without runs
is empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from emitter.vocabulary import cloudevents, topics
from stream.records import Outgoing


@dataclass(frozen=True)
class Placed:
    """A run on a host: its present attempt, and the ranks that the host carries."""

    run: str
    attempt: int = 0
    ranks: tuple[int, ...] = ()
    run_name: str | None = None


class PlacementError(ValueError):
    """The record is no placement; the message says why."""


def encode(host: str, placed: Mapping[str, Placed]) -> Outgoing:
    """The record that says which runs a host carries now."""
    runs = {
        one.run: {"attempt": one.attempt, "ranks": list(one.ranks), "run_name": one.run_name}
        for one in placed.values()
    }
    value = cloudevents.dumps({"host": host, "runs": runs}).encode() if runs else b""
    return Outgoing(topics.TRAIN_PLACEMENTS, value, host.encode(), partition=0)


def decode(key: bytes | None, value: bytes | None) -> tuple[str, dict[str, Placed]]:
    """The host and the runs on it. Raises PlacementError."""
    host = (key or b"").decode(errors="replace")
    if not value:
        return host, {}
    try:
        runs = json.loads(value)["runs"]
        found = {
            run: Placed(run, int(it["attempt"]), tuple(map(int, it["ranks"])), it.get("run_name"))
            for run, it in runs.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlacementError(
            f"placement of {host!r}: expected runs with attempt and ranks: {error!r}"
        ) from None
    return host, found
