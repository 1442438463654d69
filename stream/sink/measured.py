"""Inserts, with how long they take."""

from __future__ import annotations

from time import perf_counter
from typing import Final

import pyarrow as pa

from stream.sink.pipeline import Inserter, Pipeline
from stream.sink.writer import UnavailableError
from stream.telemetry import catalogue
from stream.telemetry.board import Board

STORED: Final = "stored"
UNAVAILABLE: Final = "unavailable"


class Measured:
    """An inserter like the one it is given."""

    def __init__(self, writer: Inserter, board: Board) -> None:
        self._writer, self._times = writer, board.times(catalogue.INSERT_TIME)

    def insert(self, table: str, rows: pa.Table, token: str) -> int:
        """See ``Writer.insert``."""
        began = perf_counter()
        try:
            refused = self._writer.insert(table, rows, token)
        except UnavailableError:
            self._times.add((table, UNAVAILABLE), perf_counter() - began)
            raise
        self._times.add((table, STORED), perf_counter() - began)
        return refused


def watch(pipeline: Pipeline, board: Board) -> None:
    """Put what a pipeline counts on the board."""
    counts = pipeline.counts
    board.number(catalogue.HISTORY_RECORDS, lambda: counts.records)
    board.number(catalogue.HISTORY_ROWS, lambda: counts.rows)
    board.number(catalogue.HISTORY_BATCHES, lambda: counts.batches)
    board.number(catalogue.HISTORY_RETRIES, lambda: counts.retries)
    board.number(catalogue.HISTORY_REFUSED, lambda: counts.bad)
    board.number(catalogue.HISTORY_DUPLICATES, lambda: counts.duplicates)
    board.number(catalogue.HISTORY_REPLAYED, lambda: counts.replayed)
    board.number(catalogue.HISTORY_WAITING, lambda: pipeline.waiting_bytes)
