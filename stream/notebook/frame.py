"""What a question to the history gives: an Arrow table, and the forms that people like better."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stream.notebook.errors import ExportError, MissingLibraryError


class Frame:
    """Rows and columns. Times are UTC, in nanoseconds."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        return f"<Frame: {len(self):,} rows of {', '.join(self.columns)}>"

    def _repr_html_(self) -> str | None:
        """As pandas shows it, in a notebook that has pandas."""
        try:
            return str(self.pandas()._repr_html_())
        except MissingLibraryError:
            return None

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._table.column_names)

    def arrow(self) -> pa.Table:
        """The table itself."""
        return self._table

    def pandas(self) -> Any:
        """A ``pandas.DataFrame``. Raises MissingLibraryError."""
        _library("pandas")
        return self._table.to_pandas()

    def polars(self) -> Any:
        """A ``polars.DataFrame``, without a copy where types allow it. Raises MissingLibraryError."""
        return _library("polars").from_arrow(self._table)

    def parquet(self, path: str | Path) -> Path:
        """Write a Parquet file, compressed with Zstandard. Raises ExportError."""
        target = Path(path)
        try:
            pq.write_table(self._table, target, compression="zstd")
        except OSError as error:
            raise ExportError(f"{target}: cannot be written: {error.strerror or error}") from error
        return target


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingLibraryError(
            f"{name} is not installed: `pip install {name}`, or take .arrow()", name=name
        ) from None
