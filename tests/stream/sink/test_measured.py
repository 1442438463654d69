"""How long inserts take, by table and outcome."""

from __future__ import annotations

import pyarrow as pa
import pytest

from stream.sink.measured import Measured
from stream.sink.writer import UnavailableError
from stream.telemetry.board import Board
from stream.telemetry.catalogue import INSERT_TIME


class Half:
    """Takes inserts into one table, and is away for all others."""

    def insert(self, table: str, rows: pa.Table, token: str) -> int:
        if table != "train_steps":
            raise UnavailableError("away")
        return 2


def test_inserts_are_timed_whatever_becomes_of_them() -> None:
    """The answer and the error pass through."""
    board = Board()
    writer = Measured(Half(), board)
    assert [writer.insert("train_steps", pa.table({}), "t") for _ in range(2)] == [2, 2]
    with pytest.raises(UnavailableError, match="away"):
        writer.insert("otel_logs", pa.table({}), "t")
    assert {key: sum(cell.counts) for key, cell in board.times(INSERT_TIME).items()} == {
        ("train_steps", "stored"): 2,
        ("otel_logs", "unavailable"): 1,
    }
