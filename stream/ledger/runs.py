"""Which run a person means, which attempt of it runs, and on which ranks: from ClickHouse or placements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emitter.vocabulary import topics
from stream import placements
from stream.history import runs
from stream.history.ledger import Run as Ask
from stream.ledger.errors import NoRunError
from stream.ledger.topics import whole
from stream.rulelang.errors import guess


@dataclass(frozen=True)
class Known:
    """A run as it stands. ``ranks`` is empty, and ``state`` None, where that is not known."""

    id: str
    name: str | None
    attempt: int
    ranks: tuple[int, ...] = ()
    state: str | None = None


def in_history(ask: Ask, wanted: str) -> Known:
    """The run of this id or name, the newest where several share it. Raises NoRunError."""
    row = runs.find(ask, wanted)
    if row is None:
        raise _unknown(wanted, runs.names(ask))
    ranks = range(max(row["world_size"], row["ranks"]))
    return Known(row["run"], row["run_name"] or None, row["attempt"], tuple(ranks), row["state"])


async def in_placements(kafka: str, wanted: str) -> Known:
    """The same from ``train.placements``: a run that is under way. Raises NoRunError, UnreachableError."""
    hosts: dict[str, dict[str, placements.Placed]] = {}
    async for key, value in whole(kafka, topics.TRAIN_PLACEMENTS):
        try:
            host, placed = placements.decode(key, value)
        except placements.PlacementError:
            continue
        hosts[host] = placed
    found = [one for placed in hosts.values() for one in placed.values() if wanted in (one.run, one.run_name)]
    if not found:
        known = {
            name
            for placed in hosts.values()
            for one in placed.values()
            for name in (one.run, one.run_name)
            if name
        }
        raise _unknown(wanted, known)
    newest = max(found, key=lambda one: one.attempt)
    ranks = {rank for one in found if one.run == newest.run for rank in one.ranks}
    return Known(newest.run, newest.run_name, newest.attempt, tuple(sorted(ranks)), "running")


def _unknown(wanted: str, known: Iterable[str]) -> NoRunError:
    cure = guess(wanted, known) or "; `trainwarden runs list` lists them"
    return NoRunError(f"no run has the id or name {wanted}{cure}")
