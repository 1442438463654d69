"""How many queries and inserts run at once, and which ids they have."""

from __future__ import annotations

from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.limits import Limits


class Admission:
    """Counts what runs; used from the event loop only. ``running``: queries and inserts, apart."""

    def __init__(self, limits: Limits) -> None:
        self._limits = {"queries": limits.queries, "inserts": limits.inserts}
        self.running = {"queries": 0, "inserts": 0}
        self.query_ids: set[str] = set()

    def enter(self, kind: str, query_id: str) -> None:
        """Take a place; ClickHouseError 202 when all are taken, 216 when the id is already running."""
        if query_id in self.query_ids:
            raise ClickHouseError(216, f"Query with id = {query_id} is already running.")
        if self.running[kind] >= self._limits[kind]:
            raise ClickHouseError(
                202,
                f"Too many simultaneous queries. Maximum: {self._limits[kind]} {kind}, "
                f"running: {self.running[kind]}; retry when some of them ended",
            )
        self.running[kind] += 1
        self.query_ids.add(query_id)

    def leave(self, kind: str, query_id: str) -> None:
        """Give the place back."""
        self.running[kind] -= 1
        self.query_ids.discard(query_id)
