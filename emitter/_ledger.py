"""What became of each command, so that none runs twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from emitter.vocabulary.commands import ABORTED, Ack

LIMIT: Final = 4096


@dataclass
class Entry:
    """``position`` is where the command was read first; ``outcome`` its last acknowledgement, once ended."""

    position: Any = None
    outcome: Ack | None = None


class Ledger:
    """Bounded: the oldest entries go first. Safe to use from any thread."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._limit = limit
        self._lock = threading.RLock()

    def open(self, command: str, position: Any) -> Entry | None:
        """Register a command; None if it is new, else what is known of it."""
        with self._lock:
            known = self._entries.get(command)
            if known is None:
                self._put(command, Entry(position))
            return known

    def find(self, command: str) -> Entry | None:
        """What is known of a command."""
        with self._lock:
            return self._entries.get(command)

    def reopen(self, command: str, position: Any) -> None:
        """Register a command; one that was aborted may be tried again."""
        with self._lock:
            entry = self._entries.get(command)
            if entry is None:
                self._put(command, Entry(position))
            elif entry.outcome is not None and entry.outcome.state == ABORTED:
                entry.outcome = None

    def end(self, ack: Ack) -> bool:
        """Store a final acknowledgement; False if the command had ended before."""
        with self._lock:
            entry = self._entries.get(ack.command)
            if entry is None:
                self._put(ack.command, entry := Entry())
            if entry.outcome is not None:
                return False
            entry.outcome = ack
            return True

    def newest(self, count: int) -> dict[str, str | None]:
        """The last commands and the states in which they ended, None where they are open."""
        with self._lock:
            entries = list(self._entries.items())[-count:]
        return {name: entry.outcome.state if entry.outcome else None for name, entry in entries}

    def _put(self, command: str, entry: Entry) -> None:
        self._entries[command] = entry
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)
