"""The numbered files of ``deploy/clickhouse``: read, check, and render for one server or a cluster.

A file is SQL with four kinds of slot:
``{on_cluster}``        nothing, or ``ON CLUSTER '<name>'``
``{engine:MergeTree}``  the engine, on a cluster its Replicated form
``{ttl:kind:column}``   ``TTL ...`` by the retention of that kind, nothing where it is kept for ever
``{dedup}``             how many inserts ClickHouse remembers by their token, to drop a repeated one
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream.history.errors import MigrationError
from stream.history.settings import SchemaSettings

DEDUP_WINDOW: Final = 10_000
DEDUP_SECONDS: Final = 7 * 86_400

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_SLOT = re.compile(r"\{(on_cluster|dedup|engine:\w+|ttl:\w+:\w+)\}")
_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|`[^`]*`|--[^\n]*|/\*.*?\*/|;|[^'`;/-]+|.", re.DOTALL)
_TTL_OF_TABLE = re.compile(
    r"CREATE TABLE IF NOT EXISTS (\w+)\b(?:(?!CREATE ).)*?\{ttl:(\w+):(\w+)\}", re.DOTALL
)


@dataclass(frozen=True)
class File:
    """One migration. ``checksum`` is of the text with its slots, so settings do not change it."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the text with newlines normalised."""
        text = "\n".join(self.text.splitlines())
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class TableTtl:
    """The retention a table asks for: its kind, and the column that says how old a row is."""

    table: str
    kind: str
    column: str

    def clause(self, settings: SchemaSettings) -> str:
        """``TTL ...``, or the empty string where rows are kept for ever. Raises MigrationError."""
        if self.kind not in settings.days:
            raise MigrationError(
                f"{self.table or 'a table'}: expected a retention kind out of {', '.join(settings.days)}, "
                f"got {self.kind!r}"
            )
        days = settings.days[self.kind]
        return f"TTL toDateTime({self.column}) + toIntervalDay({days})" if days else ""


def read_files(folder: Path) -> list[File]:
    """All migrations in order. Raises MigrationError for a stray name, a gap or a number used twice."""
    files = [File(path.name, path.read_text("utf-8")) for path in sorted(folder.glob("*.sql"))]
    for number, file in enumerate(files, start=1):
        match = _NAME.fullmatch(file.name)
        if match is None or int(match[1]) != number:
            raise MigrationError(
                f"{folder / file.name}: expected {number:04}_<name>.sql here (numbers without gaps)"
            )
    if not files:
        raise MigrationError(
            f"{folder}: expected files named NNNN_<name>.sql, found none; reinstall trainwarden"
        )
    return files


def statements(text: str) -> Iterator[str]:
    """The statements of a file, without comments and semicolons."""
    parts: list[str] = []
    for token in _TOKEN.findall(text):
        if token == ";":
            yield from _statement(parts)
            parts = []
        elif not token.startswith(("--", "/*")):
            parts.append(token)
    yield from _statement(parts)


def _statement(parts: list[str]) -> Iterator[str]:
    lines = (line.rstrip() for line in "".join(parts).splitlines())
    text = "\n".join(line for line in lines if line)
    if text:
        yield text


def render(statement: str, settings: SchemaSettings) -> str:
    """The statement with its slots filled in. Raises MigrationError for an unknown retention kind."""

    def fill(match: re.Match[str]) -> str:
        kind, _, rest = match[1].partition(":")
        if kind == "on_cluster":
            return f"ON CLUSTER '{settings.cluster}'" if settings.cluster else ""
        if kind == "dedup":
            return _dedup(settings)
        if kind == "engine":
            return f"Replicated{rest}" if settings.cluster else rest
        ttl_kind, _, column = rest.partition(":")
        return TableTtl("", ttl_kind, column).clause(settings)

    return _SLOT.sub(fill, statement)


def _dedup(settings: SchemaSettings) -> str:
    if settings.cluster is None:
        return f"non_replicated_deduplication_window = {DEDUP_WINDOW}"
    return (
        f"replicated_deduplication_window = {DEDUP_WINDOW}, "
        f"replicated_deduplication_window_seconds = {DEDUP_SECONDS}"
    )


def table_ttls(files: Iterable[File]) -> list[TableTtl]:
    """What retention each table asks for, over all files."""
    return [
        TableTtl(*match)
        for file in files
        for statement in statements(file.text)
        for match in _TTL_OF_TABLE.findall(statement)
    ]
