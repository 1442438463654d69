"""The whole history: its runs, and what was found in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

import pyarrow as pa

from emitter.vocabulary import stack
from stream.history import AddressError, connect, runs
from stream.history.ledger import Query
from stream.notebook.asking import Asker
from stream.notebook.errors import NoRunError
from stream.notebook.frame import Frame
from stream.notebook.run import Run
from stream.rulelang.errors import guess

_RUNS: Final = "SELECT * FROM train_runs_latest ORDER BY started DESC"
_DIAGNOSES: Final = (
    "SELECT * EXCEPT (src_topic, src_partition, src_offset) FROM train_diagnoses FINAL ORDER BY time, id"
)
_INCIDENTS: Final = "SELECT * FROM train_incidents ORDER BY began, id"


class History:
    """Reads one ClickHouse; closes its connection when used with ``with``.

    ``url``: ``http[s]://[user[:password]@]host:port[/database]``, by default TRAINWARDEN_CLICKHOUSE, else the
    running local stack. Raises AddressError, UnreachableError.
    """

    def __init__(self, url: str | None = None) -> None:
        self._client = connect(url or _found())
        self._asker = Asker(self._client)

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Frame:
        """Any query; ``parameters`` as ClickHouse writes them: ``{name:Type}``. Raises NotebookError."""
        return self._asker.ask(sql, parameters)

    def runs(self) -> Frame:
        """One row a run, the newest first: see ``train_runs_latest`` in docs/history.md."""
        return self._asker.ask(_RUNS)

    def run(self, wanted: str) -> Run:
        """The run of this id or name, the newest where several share a name. Raises NoRunError."""
        row = runs.find(self._rows, wanted)
        if row is None:
            cure = guess(wanted, set(runs.names(self._rows))) or "; .runs() lists them all"
            raise NoRunError(f"no run has the id or name {wanted}{cure}")
        return Run(self._asker, row)

    def _rows(self, query: Query) -> list[dict[str, Any]]:
        return _rows(self._asker.ask(query.sql, query.parameters).arrow())

    def diagnoses(self) -> Frame:
        """Every transition of a diagnosis of all runs, in the order of time."""
        return self._asker.ask(_DIAGNOSES)

    def incidents(self) -> Frame:
        """Every incident of all runs as it stands now, in the order in which they began."""
        return self._asker.ask(_INCIDENTS)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """As Python's own values; without pandas it has no nanoseconds."""
    fields = [
        field.with_type(pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return list(table.cast(pa.schema(fields), safe=False).to_pylist())


def _found() -> str:
    named = os.environ.get(stack.ENV_CLICKHOUSE)
    running = stack.read_stack() if not named else None
    url = named or (running["endpoints"].get("clickhouse") if running else None)
    if not url:
        raise AddressError(
            f"no ClickHouse is known: give its URL, set {stack.ENV_CLICKHOUSE}, or start a stack with "
            "`trainwarden up`"
        )
    return str(url)
