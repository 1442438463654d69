"""Questions to the history as SQL with parameters, their answers as Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from stream.history.client import error_code, first_line
from stream.notebook.errors import NotebookError
from stream.notebook.frame import Frame

_ZONE: Final = "UTC"


class Asker:
    """Asks one ClickHouse."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ask(
        self, sql: str, parameters: Mapping[str, Any] | None = None, names: Sequence[str] | None = None
    ) -> Frame:
        """The answer; ``names`` in place of the columns' own. Raises NotebookError."""
        try:
            table = self._client.query_arrow(sql, parameters=dict(parameters or {}), use_strings=True)
        except ClickHouseError as error:
            code = error_code(error)
            place = "no answer from ClickHouse" if code is None else f"ClickHouse refused (code {code})"
            raise NotebookError(f"{place}: {first_line(error)}") from error
        return Frame(_in_utc(table if names is None else table.rename_columns(list(names))))


def _in_utc(table: pa.Table) -> pa.Table:
    """Times with their zone, so that pandas and polars do not take them for local ones."""
    fields = [
        pa.field(field.name, pa.timestamp(field.type.unit, _ZONE), field.nullable)
        if pa.types.is_timestamp(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
