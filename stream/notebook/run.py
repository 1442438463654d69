"""One run of the history."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from stream.notebook import streaming
from stream.notebook.asking import Asker
from stream.notebook.errors import ExportError, NotebookError
from stream.notebook.frame import Frame

_SAID: Final = "* EXCEPT (src_topic, src_partition, src_offset)"
PARTS: Final = ("steps", "evals", "resources", "logs", "diagnoses", "incidents", "commands", "acks")
_KEYS: Final = ("attempt", "role", "rank", "time", "step")
_NUMBERS: Final = {"steps": "train_steps", "evals": "train_evals"}
ROWS: Final = 500_000
"""Rows of ClickHouse that are read at once when a run is exported."""
LOG_ROWS, LOG_BYTES = 20_000, 32_000_000
Between: TypeAlias = "tuple[int, int] | None"
"""Two times in Unix nanoseconds, the second one excluded."""
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Run:
    """A run as ``train_runs_latest`` has it when it is asked for; the methods read what is there then.

    ``attempt`` is the newest one, ``state`` and ``last_step`` are of it; times are UTC. Each method raises
    NotebookError where ClickHouse does not answer.
    """

    def __init__(self, asker: Asker, row: Mapping[str, Any]) -> None:
        self._asker = asker
        self.id: str = row["run"]
        self.name: str = row["run_name"]
        self.attempt: int = row["attempt"]
        self.state: str = row["state"]
        self.world_size: int = row["world_size"]
        self.started: Any = row["started"]
        self.last_time: Any = row["last_time"]
        self.last_step: int = row["last_step"]

    def __repr__(self) -> str:
        return f"<Run {self.name or self.id}: {self.state}, attempt {self.attempt}, step {self.last_step}>"

    def names(self) -> list[str]:
        """What the run has logged in its steps, by name."""
        return self._names("train_steps")

    def steps(
        self, *names: str, attempt: int | None = None, rank: int | None = None, every: str | None = None
    ) -> Frame:
        """The numbers of ``train.step``, a column each (all of them where none is named).

        Columns: attempt, role, rank, time, step, then the names; null where a record lacks one. ``every``
        ("10s", "5m") gives the mean of each series over such a span of time instead, ``time`` its beginning
        and ``step`` its last; values that are not finite are left out of it.
        """
        return self._wide("train_steps", names, attempt, rank, every)

    def evals(self, *names: str, attempt: int | None = None, rank: int | None = None) -> Frame:
        """The numbers of ``train.eval``, like ``steps``."""
        return self._wide("train_evals", names, attempt, rank, None)

    def resources(self, *names: str, rank: int | None = None, device: str | None = None) -> Frame:
        """Samples of host, process and GPUs, a row each: attempt, rank, node, time, device, name, value.

        ``device`` is a GPU's id, "" for host and process.
        """
        return self._resources({"rank": rank, "device": device, "name": list(names) or None}, None)

    def logs(self, least_severity: int = 0) -> Frame:
        """Log lines, stacks, lifecycle and users' own events: time, rank, severity, event, body, attributes.

        ``least_severity``: OpenTelemetry's number, 9 for info, 13 for warnings, 17 for errors.
        """
        return self._logs(least_severity, None)

    def diagnoses(self) -> Frame:
        """Every transition of the run's diagnoses, in the order of time."""
        return self._ask(_SAID, "train_diagnoses FINAL", "ORDER BY time, id")

    def incidents(self) -> Frame:
        """The run's incidents as they stand now, in the order in which they began."""
        return self._ask("*", "train_incidents", "ORDER BY began, id")

    def commands(self) -> Frame:
        """What was sent to the run, in the order of issue."""
        return self._ask(_SAID, "train_commands FINAL", "ORDER BY issued, id")

    def acks(self) -> Frame:
        """What its ranks answered, in the order of time."""
        return self._ask(_SAID, "train_acks FINAL", "ORDER BY time, command, rank")

    def export(self, folder: str | Path) -> list[Path]:
        """Write all of it as Parquet files into this folder: which. Raises ExportError."""
        target = Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExportError(f"{target}: cannot be made: {error.strerror or error}") from error
        for part in PARTS:
            self.write(part, target / f"{part}.parquet")
        return [target / f"{part}.parquet" for part in PARTS]

    def write(self, part: str, path: str | Path) -> int:
        """Write one of PARTS as a Parquet file, piece by piece: how many rows. Raises ExportError."""
        return streaming.write(self.pieces(part), Path(path))

    def pieces(self, part: str) -> Iterator[Frame]:
        """One of PARTS in pieces that fit into memory, together what the method of that name gives."""
        if part in _NUMBERS:
            table = _NUMBERS[part]
            names = self._names(table)
            for between in self._stretches(table, "time", ROWS):
                yield self._wide(table, names, None, None, None, between)
        elif part == "resources":
            for between in self._stretches("train_resources", "time", ROWS):
                yield self._resources({}, between)
        elif part == "logs":
            for between in self._stretches("otel_logs", "Timestamp", LOG_ROWS, "sum(length(Body))"):
                yield self._logs(0, between)
        else:
            yield getattr(self, part)()

    def _stretches(self, table: str, time: str, rows: int, size: str = "0") -> list[Between]:
        """Times that cut a table into pieces of about so many rows."""
        found = self._ask(f"count() AS rows, {size} AS bytes", table, "").arrow().to_pylist()[0]
        pieces = max(-(-int(found["rows"]) // rows), -(-int(found["bytes"]) // LOG_BYTES))
        if pieces < 2:
            return [None]
        cuts = ", ".join(f"{place / pieces:.6f}" for place in range(1, pieces))
        at = f"arrayMap(cut -> toInt64(cut), quantiles({cuts})(toUnixTimestamp64Nano({time}))) AS cuts"
        inside = self._ask(at, table, "").arrow().to_pylist()[0]["cuts"]
        ends = sorted({0, *(int(cut) for cut in inside), 2**63 - 1})
        return list(itertools.pairwise(ends))

    def _resources(self, where: Mapping[str, Any], between: Between) -> Frame:
        columns = "attempt, rank, node, time, device, name, value"
        then = f"{_cut('time', between)} ORDER BY time, rank, device, name"
        return self._ask(columns, "train_resources", then, where)

    def _logs(self, least_severity: int, between: Between) -> Frame:
        columns = (
            "Timestamp AS time, attempt, rank, SeverityNumber AS severity, EventName AS event, Body AS body,"
            " LogAttributes AS attributes"
        )
        then = f"AND SeverityNumber >= {{least:UInt8}}{_cut('Timestamp', between)} ORDER BY Timestamp"
        return self._ask(columns, "otel_logs", then, parameters={"least": least_severity})

    def _names(self, table: str) -> list[str]:
        found = self._ask("DISTINCT name", table, "ORDER BY name").arrow()
        return [str(name) for name in found["name"].to_pylist()]

    def _wide(
        self, table: str, names: Sequence[str], attempt: int | None, rank: int | None, every: str | None,
        between: Between = None,
    ) -> Frame:  # fmt: skip
        seconds = None if every is None else _seconds(every)
        names = names or self._names(table)
        # The table's own column is meant where an alias has its name.
        time, step, group, only = "time", "step", "attempt, role, rank, time, step", ""
        if seconds is not None:
            time = f"toDateTime64(toStartOfInterval({table}.time, toIntervalSecond({seconds})), 9)"
            step, group, only = f"max({table}.step)", "attempt, role, rank, time", " AND isFinite(value)"
        kind = "anyOrNullIf" if seconds is None else "avgOrNullIf"
        values = [
            f"{kind}(value, name = {{n{place}:String}}{only}) AS c{place}" for place in range(len(names))
        ]
        columns = ", ".join(["attempt, role, rank", f"{time} AS time", f"{step} AS step", *values])
        cut = _cut(f"{table}.time", between)
        return self._ask(
            columns, table, f"{cut} GROUP BY {group} ORDER BY attempt, time, rank, step",
            {"attempt": attempt, "rank": rank, "name": list(names)},
            {f"n{place}": name for place, name in enumerate(names)}, [*_KEYS, *names],
        )  # fmt: skip

    def _ask(
        self, columns: str, source: str, then: str, where: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None, names: Sequence[str] | None = None,
    ) -> Frame:  # fmt: skip
        given = {name: value for name, value in (where or {}).items() if value is not None}
        clauses = "".join(f" AND {_clause(name, value)}" for name, value in given.items())
        sql = f"SELECT {columns} FROM {source} WHERE run = {{run:String}}{clauses} {then}"
        return self._asker.ask(sql, {**(parameters or {}), **given, "run": self.id}, names)


def _cut(time: str, between: Between) -> str:
    if between is None:
        return ""
    since, until = (f"fromUnixTimestamp64Nano({at})" for at in between)
    return f" AND {time} >= {since} AND {time} < {until}"


def _clause(name: str, value: object) -> str:
    if isinstance(value, list):
        return f"{name} IN {{{name}:Array(String)}}"
    return f"{name} = {{{name}:{'String' if isinstance(value, str) else 'Int64'}}}"


def _seconds(every: str) -> int:
    found = re.fullmatch(r"(\d+)([smhd])", every)
    if not found or not int(found[1]):
        raise NotebookError(f'every: expected a time like "10s", "5m" or "1h", got {every!r}')
    return int(found[1]) * _SECONDS[found[2]]
