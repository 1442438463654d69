"""CPU time of a process between its first event and its last, printed as one line of JSON.

Standard library only: the peers run in environments of their own.
"""

from __future__ import annotations

import json
import time


class Usage:
    """Counts events; the start-up of the process, and the first of them, are not measured."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.seen = 0
        self._begun: tuple[int, float] | None = None

    def add(self, events: int) -> bool:
        """Count these; whether all have come."""
        self.seen += events
        if self._begun is None:
            self._begun = (self.seen, time.process_time())
        return self.seen >= self.expected

    def tell(self) -> None:
        """Print events per second of CPU time."""
        first, begun = self._begun or (0, 0.0)
        spent = time.process_time() - begun
        print(json.dumps({"events": self.seen, "rate": (self.seen - first) / spent}), flush=True)
