"""The connections of one rank, opened once: when the store is lost they are not opened again.

Every session of a run's attempt has a prefix of its own in the store, which outlives attempts. The random
part is the leader's: a store that was started anew does not know it, so nobody mistakes it for the old one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from emitter.agreement.clients import BOUND_S, Bounded, Client
from emitter.agreement.host import Connect
from emitter.agreement.words import Keys

LEADER = 0


@dataclass
class Line:
    """``waits`` belongs to the thread that listens; ``short`` to everybody."""

    connect: Connect
    waits: Client
    short: Bounded
    base: str
    keys: Keys | None = None


def connect(how: Connect, run: str, attempt: int, rank: int) -> Line:
    """Open both connections. Raises StoreLostError and what torch raises where that fails."""
    waits, short = how(), Bounded(how(), "trainwarden-agreement-short")
    place = f"trainwarden/{run}/{attempt}"
    session = short.call(lambda client: client.count(f"{place}/sessions/{rank}"), BOUND_S * 3)
    return Line(how, waits, short, f"{place}/{session}")


def meet(line: Line, rank: int) -> Keys:
    """Wait for the leader; the names that all ranks of this session use. Raises StoreLostError."""
    name = f"{line.base}/nonce"
    if rank == LEADER:
        line.short.call(lambda client: client.swap(name, os.urandom(8).hex()))
    else:
        line.waits.wait((name,), None)
    (nonce,) = line.short.call(lambda client: client.peek((name,)))
    line.keys = Keys(f"{line.base}/{nonce}")
    return line.keys


def unmeet(line: Line) -> None:
    """End a wait for a leader that may never come. Raises StoreLostError."""
    line.short.call(lambda client: client.swap(f"{line.base}/nonce", os.urandom(8).hex()), 2.0)
