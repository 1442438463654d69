"""Answers too large for memory, written to a Parquet file a piece at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stream.notebook.errors import ExportError
from stream.notebook.frame import Frame


def write(pieces: Iterable[Frame], target: Path) -> int:
    """All pieces (of one schema) as row groups of one file, compressed with Zstandard; how many rows.

    The file is there when it is whole: until then it has another name. Raises ExportError.
    """
    unfinished = target.with_name(f".{target.name}.part")
    try:
        rows = _written(iter(pieces), unfinished)
        unfinished.replace(target)
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        _away(unfinished)
    return rows


def _written(pieces: Iterator[Frame], target: Path) -> int:
    first = next(pieces).arrow()
    rows = 0
    with pq.ParquetWriter(target, first.schema, compression="zstd") as writer:
        for table in _all(first, pieces):
            rows += table.num_rows
            writer.write_table(table)
    return rows


def _all(first: pa.Table, rest: Iterator[Frame]) -> Iterator[pa.Table]:
    yield first
    for frame in rest:
        yield frame.arrow().cast(first.schema)


def _away(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the folder is gone or closed to us: what went wrong there is being raised
