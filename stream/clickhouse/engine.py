"""The ClickHouse engine of this process (chDB): opening, sessions of one query, cancelling, closing."""

from __future__ import annotations

import importlib
import json
import logging
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote as percent_encoded

from stream import lockfile
from stream.clickhouse import config
from stream.clickhouse.errors import ClickHouseError, EndpointError, from_engine
from stream.clickhouse.lexer import tokens
from stream.clickhouse.limits import Limits

_LOG = logging.getLogger(__name__)


class Engine:
    """One per process: chDB allows a single data directory at a time.

    Every query runs on a handle of its own, so settings, `USE` and temporary tables never leak from one
    request into another.
    """

    def __init__(self, data_dir: Path, limits: Limits) -> None:
        """Open or create `data_dir`; EndpointError, OSError or ClickHouseError when that cannot be."""
        directory = data_dir.resolve()
        if any(sign in str(directory) for sign in "?&"):
            raise EndpointError(
                f"data directory {directory}: expected a path without ? and &; choose another"
            )
        self._lock = _locked(directory / "endpoint.lock")
        store = directory / "engine"
        config.prepare_store(store)
        self.spool = _emptied(directory / "spool")
        settings = config.write(directory / "config", store, limits)
        self._address = f"{store}?config-file={percent_encoded(str(settings))}"
        self._chdb: Any = importlib.import_module("chdb")
        with engine_errors():
            self._root: Any = self._chdb.connect(self._address)
        self._root_lock = threading.Lock()
        self._drop_shadow()
        self.version, self.timezone, self.host = self._ask("SELECT version(), timezone(), hostName()")

    def _drop_shadow(self) -> None:
        if "SOURCES" in "".join(self._ask("SHOW GRANTS")):
            raise EndpointError("the engine did not take its configuration: it would let clients read files")
        self._ask(f"DROP DATABASE IF EXISTS {config.SHADOW_DATABASE}")

    def _ask(self, sql: str) -> list[str]:
        with self._root_lock, engine_errors():
            answer: str = self._root.query(sql, "TSV").bytes().decode()
        return answer.rstrip("\n").split("\t")

    def ping(self) -> None:
        """Run a statement; ClickHouseError when it fails."""
        self._ask("SELECT 1")

    def memory(self) -> int:
        """Bytes that the engine accounts for."""
        return int(self._ask("SELECT value FROM system.metrics WHERE metric = 'MemoryTracking'")[0])

    def open_handle(self) -> Handle:
        """A fresh connection to the engine that the caller closes."""
        with engine_errors():
            return Handle(self._chdb.connect(self._address), self.spool)

    def kill(self, query_id: str) -> None:
        """Ask the engine to stop a query; it ends with error 394 soon after."""
        try:
            self._ask(f"KILL QUERY WHERE Settings['{config.QUERY_ID_SETTING}'] = {quote(query_id)} ASYNC")
        except ClickHouseError as error:
            _LOG.warning("could not cancel query %s: %s", query_id, error)

    def close(self) -> None:
        """Close the engine and give the data directory free."""
        with self._root_lock:
            self._root.close()
        self._lock.close()


class Handle:
    """One connection: a session that runs one thing at a time."""

    def __init__(self, connection: Any, spool: Path) -> None:
        self._connection = connection
        self._spool = spool

    def use(self, database: str) -> None:
        """Make `database` the current one."""
        self.run(f"USE {quote_name(database)}", "TSV", {})

    def set(self, settings: Mapping[str, str]) -> None:
        """Apply settings to this session."""
        if settings:
            pairs = ", ".join(f"{_setting_name(name)} = {quote(value)}" for name, value in settings.items())
            self.run(f"SET {pairs}", "TSV", {})

    def run(self, sql: str, output_format: str, parameters: Mapping[str, str]) -> Any:
        """Run one statement to its end; chDB's result (bytes, rows_read, storage_rows_read, elapsed ...)."""
        with engine_errors():
            return self._connection.query(_text(sql), output_format, params=dict(parameters))

    def insert(self, sql: str, input_format: str, pieces: Iterable[bytes]) -> Any:
        """Store what the pieces hold, whole or not at all; chDB's result.

        By way of a file: chDB's streaming insert answers success when the storage refused the block.
        """
        with tempfile.NamedTemporaryFile(dir=self._spool) as file:
            file.writelines(pieces)
            file.flush()
            return self.run(insert_from_file(sql, input_format, file.name), "TSV", {})

    @contextmanager
    def borrowed(self, names: Iterable[str]) -> Iterator[None]:
        """Put these settings back afterwards to what they are now."""
        wanted = ", ".join(map(quote, names))
        listed = self.run(
            f"SELECT name, value FROM system.settings WHERE changed AND name IN ({wanted})", "JSONEachRow", {}
        )
        before = {row["name"]: row["value"] for row in map(json.loads, listed.bytes().splitlines())}
        try:
            yield
        finally:
            back = [
                f"{_setting_name(name)} = {quote(before[name]) if name in before else 'DEFAULT'}"
                for name in names
            ]
            self.run(f"SET {', '.join(back)}", "TSV", {})

    def stream(self, sql: str, output_format: str, parameters: Mapping[str, str]) -> Iterator[Any]:
        """Run one query and yield chDB's result block by block; closing the iterator cancels the query."""
        with engine_errors():
            result = self._connection.send_query(_text(sql), output_format, params=dict(parameters))
        try:
            while True:
                with engine_errors():
                    block = result.fetch()
                if block is None:
                    return
                yield block
        finally:
            result.close()

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def _locked(path: Path) -> IO[str]:
    try:
        return lockfile.hold(path)
    except lockfile.LockHeldError as held:
        raise EndpointError(
            f"{path.parent}: already served by another ClickHouse endpoint (pid {held.holder}); "
            "stop that one or choose another --data-dir"
        ) from None


def _emptied(spool: Path) -> Path:
    """The folder for bodies under way, without what a killed process left there."""
    spool.mkdir(parents=True, exist_ok=True)
    for left in spool.iterdir():
        left.unlink()
    return spool


def insert_from_file(sql: str, input_format: str, path: str) -> str:
    """The INSERT (without its FORMAT) reading its data from a file; SETTINGS come after the file."""
    depth, at = 0, len(sql)
    for token in tokens(sql):
        depth += token.depth_change()
        if depth == 0 and token.is_word("SETTINGS"):
            at = token.start
            break
    source = f"FROM INFILE {quote(path)} COMPRESSION 'none'"
    return f"{sql[:at].rstrip()} {source} {sql[at:]} FORMAT {input_format}"


def _text(sql: str) -> bytes:
    """SQL may hold bytes that are not UTF-8, kept as surrogates."""
    return sql.encode("utf-8", "surrogateescape")


def quote_name(name: str) -> str:
    """A ClickHouse identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def quote(value: str) -> str:
    """A ClickHouse string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _setting_name(name: str) -> str:
    if not (name.isascii() and name.replace("_", "a").replace(".", "a").isalnum()) or name[0].isdigit():
        raise ClickHouseError(115, f"Unknown setting {name!r}: not the name of a setting", "UNKNOWN_SETTING")
    return name


@contextmanager
def engine_errors() -> Iterator[None]:
    """Turn what chDB raises into ClickHouseError."""
    try:
        yield
    except RuntimeError as error:
        raise from_engine(str(error)) from None
