"""How far a worker is behind, asked of the broker now and then."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from stream.faustkit.stuck import Place, Standing, Stuck
from stream.telemetry.board import Board, Key
from stream.telemetry.catalogue import CONSUMER_BEHIND, CONSUMER_LAG

EVERY_S: Final = 10.0
_ANSWER_S: Final = 20.0

log = logging.getLogger(__name__)


class Lag:
    """The standing of the partitions of a Faust app. ``excuse``: who else holds it up, if anybody."""

    def __init__(
        self, app: Any, board: Board, stuck: Stuck, excuse: Callable[[], str | None], every_s: float = EVERY_S
    ) -> None:
        self._app, self._stuck, self._excuse, self._every_s = app, stuck, excuse, every_s
        self.standings: dict[Place, Standing] = {}
        board.read(CONSUMER_LAG, self._lag)
        board.read(CONSUMER_BEHIND, self._behind)

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                self.standings = await asyncio.wait_for(self._ask(), _ANSWER_S)
                self._stuck.look(self.standings, self._excuse())
            except Exception as error:  # noqa: BLE001 - a broker that is away, a rebalance: asked again
                log.debug("lag: not known: %r", error)
            await asyncio.sleep(self._every_s)

    async def _ask(self) -> dict[Place, Standing]:
        consumer = self._app.consumer
        places = sorted(consumer.assignment())
        if not places:
            return {}
        ends = await consumer.highwaters(*places)
        committed = {place: consumer._committed_offset.get(place) for place in places}
        unread = [place for place, offset in committed.items() if offset is None]
        begins = await consumer.earliest_offsets(*unread) if unread else {}
        return {
            (place.topic, place.partition): Standing(ends[place], _first(committed[place], begins.get(place)))
            for place in places
            if place in ends
        }

    def _lag(self) -> dict[Key, float]:
        return {place: max(0, at.end - at.committed) for place, at in self.standings.items()}

    def _behind(self) -> dict[Key, float]:
        now, written = time.time(), self._app.consumer.written
        found: dict[Key, float] = {}
        for place, behind in self._lag().items():
            newest = written.get(place)
            if not behind or newest:
                found[place] = max(0.0, now - newest) if behind and newest else 0.0
        return found


def _first(*offsets: int | None) -> int:
    return next((offset for offset in offsets if offset is not None), 0)
