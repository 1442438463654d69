"""What the endpoint counts of queries and inserts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.running import Runner
from stream.telemetry import catalogue
from stream.telemetry.board import Board, by

OK: Final = "ok"
LEFT: Final = "left"
"""The client went away before the end of its answer."""
UNREAD: Final = "unread"
"""Refused before it was clear what it is."""


class Request:
    """``kind``: queries or inserts, once that is known."""

    def __init__(self) -> None:
        self.kind = UNREAD


class Meter:
    """Bumps the board; the event loop only."""

    def __init__(self, board: Board, runner: Runner) -> None:
        self._requests = board.count(catalogue.CLICKHOUSE_REQUESTS)
        self._times = board.times(catalogue.CLICKHOUSE_TIME)
        board.read(catalogue.CLICKHOUSE_UNDER_WAY, by(runner.admission.running))
        board.number(catalogue.CLICKHOUSE_MEMORY, runner.engine.memory)

    @contextmanager
    def request(self) -> Iterator[Request]:
        """From the beginning of a request to the end of its answer."""
        one, began, outcome = Request(), perf_counter(), LEFT
        try:
            yield one
            outcome = OK
        except ClickHouseError as error:
            outcome = str(error.code)
            raise
        finally:
            if one.kind != UNREAD or outcome not in (OK, LEFT):
                self._requests[one.kind, outcome] += 1
                self._times.add((one.kind,), perf_counter() - began)
