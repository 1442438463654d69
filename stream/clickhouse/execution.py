"""Runs one call on the engine, in a worker thread: statement, settings, data in, result out."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from stream.clickhouse import forbidden, native, statement
from stream.clickhouse.body import Body
from stream.clickhouse.call import Call
from stream.clickhouse.config import QUERY_ID_SETTING
from stream.clickhouse.engine import Engine, Handle
from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.external import External
from stream.clickhouse.limits import Limits
from stream.clickhouse.sessions import Session
from stream.clickhouse.statement import Statement

_HEAD_BYTES: Final = 1 << 18
# Formats without anything before or after the rows: their blocks may be sent one after the other.
_STREAMABLE: Final = frozenset({"native", "tabseparated", "tsv", "csv", "rowbinary", "jsoneachrow"})
_SUSPICIOUS: Final = re.compile(rb"file|python|[`\"]|\xe2\x80", re.IGNORECASE)
# An insert is one block, so that it is stored whole or not at all.
_ONE_BLOCK: Final = {
    "min_insert_block_size_rows": "100000000000",
    "min_insert_block_size_bytes": "100000000000000",
    "max_insert_block_size": "100000000000",
}


@dataclass
class Counts:
    """What a query did so far, for X-ClickHouse-Summary."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    started_ns: int = field(default_factory=time.monotonic_ns)

    def summary(self) -> dict[str, str]:
        """The names and strings ClickHouse uses."""
        return {
            "read_rows": str(self.read_rows),
            "read_bytes": str(self.read_bytes),
            "written_rows": str(self.written_rows),
            "written_bytes": str(self.written_bytes),
            "total_rows_to_read": "0",
            "result_rows": str(self.result_rows),
            "result_bytes": str(self.result_bytes),
            "elapsed_ns": str(time.monotonic_ns() - self.started_ns),
        }


@dataclass
class Answer:
    """A result: `first` is there, `rest` (if any) follows block by block; then it wants to be closed.

    output_format is None where the statement has no result.
    """

    counts: Counts
    output_format: str | None = None
    first: bytes = b""
    rest: Generator[bytes, None, None] | None = None
    handle: Handle | None = None

    def close(self) -> None:
        """End the query if it still runs and give its handle back."""
        if self.rest is not None:
            self.rest.close()
        if self.handle is not None:
            self.handle.close()
            self.handle = None


def read_statement(call: Call, body: Body, limits: Limits) -> tuple[Statement, bytes]:
    """The statement, and what of its data stood in the `query` parameter; the rest stays in `body`."""
    before = call.query.encode("utf-8", "surrogateescape")
    if before and not before.endswith(b"\n"):
        before += b"\n"
    head = _decoded(before + body.peek(_HEAD_BYTES))
    if (insert := _insert_head(head)) is not None:
        at = len(head[: insert.data_start].encode("utf-8", "surrogateescape"))
        body.skip(max(0, at - len(before)))
        return insert, before[at:]
    text = before + body.peek(limits.query_text_bytes + 1)
    if len(text) > limits.query_text_bytes:
        raise ClickHouseError(229, f"Query is too large: more than {limits.query_text_bytes} bytes")
    return statement.parse(_decoded(text)), b""


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _insert_head(head: str) -> Statement | None:
    try:
        return statement.insert_with_data(head)
    except ClickHouseError:
        return None  # the whole text says it better, and may be longer than the head


class Execution:
    """One call on one handle."""

    def __init__(
        self, engine: Engine, limits: Limits, call: Call, session: Session | None, tables: Sequence[External]
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._call = call
        self._session = session
        self._tables = tables
        self._counts = Counts()

    def run(self, parsed: Statement, inline: bytes, body: Body) -> Answer:
        """Run to the end, or until the first part of a long result stands ready; the body is closed."""
        with body:
            forbidden.check(parsed.sql)
            if (parsed.data_format or "").lower() == "values":
                self._check_values(inline, body)
            if self._session is not None and (self._session.handle or parsed.stateful):
                return self._in_session(self._session, parsed, inline, body)
            return self._alone(parsed, inline, body)

    def _alone(self, parsed: Statement, inline: bytes, body: Body) -> Answer:
        handle = self._engine.open_handle()
        try:
            answer = self._on(handle, parsed, inline, body)
        except BaseException:
            handle.close()
            raise
        answer.handle = handle
        if answer.rest is None:
            answer.close()
        return answer

    def _in_session(self, session: Session, parsed: Statement, inline: bytes, body: Body) -> Answer:
        """On the session's own handle: what the URL sets is put back, what the statement sets stays."""
        if self._call.read_only and not parsed.reads_only:
            raise ClickHouseError(164, "Cannot execute query in readonly mode. Send it with POST")
        session.handle = session.handle or self._engine.open_handle()
        settings = self._settings(parsed)
        settings.pop("readonly", None)
        with session.handle.borrowed(settings.keys()):
            session.handle.set(settings)
            if self._call.database:
                session.handle.use(self._call.database)
            return self._answer(session.handle, parsed, inline, body)

    def _on(self, handle: Handle, parsed: Statement, inline: bytes, body: Body) -> Answer:
        if self._call.database:
            handle.use(self._call.database)
        settings = self._settings(parsed)
        read_only = settings.pop("readonly", "0")
        handle.set(settings)
        for table in self._tables:
            table.load(handle)
        if self._call.read_only and read_only == "0":
            read_only = "2"
        if read_only != "0":
            handle.set({"readonly": read_only})
        return self._answer(handle, parsed, inline, body)

    def _settings(self, parsed: Statement) -> dict[str, str]:
        chosen = {} if parsed.data_format is None else dict(_ONE_BLOCK)
        return chosen | self._call.settings | {QUERY_ID_SETTING: self._call.query_id}

    def _answer(self, handle: Handle, parsed: Statement, inline: bytes, body: Body) -> Answer:
        if parsed.data_format is not None:
            return self._insert(handle, parsed, inline, body)
        return self._query(handle, parsed)

    def _check_values(self, inline: bytes, body: Body) -> None:
        """VALUES may hold expressions, so they are looked at like a statement."""
        limit = self._limits.query_text_bytes
        values = inline + body.peek(limit + 1)
        if len(values) > limit:
            raise ClickHouseError(
                229,
                f"Query is too large: VALUES of more than {limit} bytes; send JSONEachRow or another format",
            )
        if _SUSPICIOUS.search(values):
            forbidden.check(_decoded(values))

    def _insert(self, handle: Handle, parsed: Statement, inline: bytes, body: Body) -> Answer:
        pieces = chain([inline], body.pieces())
        written = handle.insert(parsed.sql, parsed.data_format or "", pieces)
        self._counts.written_rows = self._counts.read_rows = written.rows_written()
        self._counts.written_bytes = self._counts.read_bytes = written.bytes_written()
        return Answer(self._counts)

    def _query(self, handle: Handle, parsed: Statement) -> Answer:
        output = parsed.output_format or self._call.default_format
        alone = self._session is None or self._session.handle is None
        if alone and parsed.streamable and output.lower() in _STREAMABLE and not self._call.whole:
            return self._streamed(handle, parsed, output)
        result = handle.run(parsed.sql, output, self._call.parameters)
        self._count(result)
        self._counts.written_rows = result.rows_written()
        self._counts.written_bytes = result.bytes_written()
        return Answer(self._counts, output if parsed.has_result else None, self._bytes(result, output))

    def _streamed(self, handle: Handle, parsed: Statement, output: str) -> Answer:
        blocks = self._blocks(handle, parsed, output)
        first = bytearray()
        for block in blocks:
            first += block
            if len(first) >= self._limits.result_buffer_bytes:
                return Answer(self._counts, output, bytes(first), blocks)
        return Answer(self._counts, output, bytes(first))

    def _blocks(self, handle: Handle, parsed: Statement, output: str) -> Generator[bytes, None, None]:
        for block in handle.stream(parsed.sql, output, self._call.parameters):
            self._count(block)
            yield self._bytes(block, output)

    def _bytes(self, result: Any, output: str) -> bytes:
        found: bytes = result.bytes()
        if self._call.revision >= native.REVISION and output.lower() == "native":
            return native.revised(found)
        return found

    def _count(self, result: Any) -> None:
        self._counts.result_rows += result.rows_read()
        self._counts.result_bytes += result.size()
        self._counts.read_rows = max(self._counts.read_rows, result.storage_rows_read())
        self._counts.read_bytes = max(self._counts.read_bytes, result.storage_bytes_read())
