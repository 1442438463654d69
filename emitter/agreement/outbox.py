"""Acknowledgements of a rank, on their way to the leader: appended to one list by compare-and-set."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Final

from emitter.agreement.clients import Client
from emitter.agreement.words import Keys

READ: Final = 0
"""Not a place: how many places the leader has read, so that nobody tries them all."""


class Outbox:
    """Used by one thread. No place is left empty by a rank that dies: a place is taken by writing to it."""

    def __init__(self, keys: Keys, rank: int) -> None:
        self._keys, self._rank = keys, rank
        self._place = 1
        self._numbers = itertools.count()

    def append(self, client: Client, payload: bytes | None) -> None:
        """Add one; None ends the list for whoever reads it. Raises StoreLostError."""
        body = {"end": True} if payload is None else {"ack": base64.b64encode(payload).decode()}
        text = json.dumps({"rank": self._rank, "number": next(self._numbers), **body})
        if client.swap(self._keys.ack(self._place), text) != text:
            (read,) = client.peek((self._keys.ack(READ),))
            self._place = max(self._place, int(read or 0)) + 1
            while client.swap(self._keys.ack(self._place), text) != text:
                self._place += 1
        self._place += 1
