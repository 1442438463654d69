"""Parquet of steps: one row a point, read in batches of rows."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from stream.offline.errors import ReadError
from stream.offline.flat import Flat
from stream.offline.opening import Opened
from stream.offline.points import Notes, Points

ROWS: Final = 4096


def read(source: Opened, notes: Notes) -> Points:
    """Points of each row; list columns are left out. Raises ReadError."""
    del notes  # a row of Parquet is whole or the file is broken
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        cure = "expected the package pyarrow for Parquet; pip install 'trainwarden[stream]'"
        raise ReadError(source.name, "", cure) from None
    if source.compressed or not source.stream.seekable():
        raise ReadError(
            source.name, "", "Parquet is read from a plain file only, not from a pipe or an archive"
        )
    flat, row = Flat(), 0
    try:
        file: Any = parquet.ParquetFile(source.stream)
        for batch in file.iter_batches(batch_size=ROWS):
            for record in batch.to_pylist():
                row += 1
                present = {key: value for key, value in record.items() if value is not None}
                yield from flat.points(present, 0)
    except (OSError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise ReadError(source.name, f"after row {row}", f"the Parquet is broken ({told})") from None
