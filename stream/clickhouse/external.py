"""Tables that come with a query as files of a multipart form, and the form itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import BodyPartReader, web

from stream.clickhouse import body, forbidden
from stream.clickhouse.body import Body
from stream.clickhouse.engine import Handle, quote_name
from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.lexer import tokens
from stream.clickhouse.limits import Limits

_PIECE = 1 << 18
_ASIDE = ("_structure", "_types", "_format")


@dataclass
class Form:
    """A multipart form: its text fields, and its files by name."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, Body] = field(default_factory=dict)

    def close(self) -> None:
        """Let the files go."""
        for file in self.files.values():
            file.close()


@dataclass(frozen=True)
class External:
    """One temporary table for one query."""

    name: str
    structure: str
    input_format: str
    data: Body

    def load(self, handle: Handle) -> None:
        """Create and fill the table on the query's handle."""
        create = f"CREATE TEMPORARY TABLE {quote_name(self.name)} ({self.structure})"
        forbidden.check(create)
        handle.run(create, "TSV", {})
        with self.data:
            handle.insert(f"INSERT INTO {quote_name(self.name)}", self.input_format, self.data.pieces())


async def read_form(request: web.Request, spool: Path, limits: Limits) -> Form:
    """Take in a multipart form; ClickHouseError where it is none, or too large."""
    form = Form()
    try:
        parts = await request.multipart()
        while (part := await parts.next()) is not None:
            await _take(part, form, spool, limits)
    except ValueError as error:
        form.close()
        raise ClickHouseError(36, f"Cannot read the multipart form: {error}") from None
    except BaseException:
        form.close()
        raise
    return form


async def _take(part: object, form: Form, spool: Path, limits: Limits) -> None:
    if not isinstance(part, BodyPartReader) or not part.name:
        raise ValueError("expected parts with a name each")
    taken = await body.receive(_pieces(part), "", spool, limits)
    if part.filename is not None:
        form.files[part.name] = taken
        return
    with taken:
        text = b"".join(taken.pieces())
    form.fields.append((part.name, text.decode("utf-8", "surrogateescape")))


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(_PIECE):
        yield piece


def externals(files: Mapping[str, Body], fields: Mapping[str, str]) -> list[External]:
    """The form's files with the `<name>_structure`, `<name>_types` and `<name>_format` that describe them."""
    found = []
    for name, data in files.items():
        structure = fields.get(f"{name}_structure") or _of_types(fields.get(f"{name}_types", ""))
        if not structure:
            raise ClickHouseError(36, f"External table {name}: expected {name}_structure or {name}_types")
        found.append(External(name, structure, fields.get(f"{name}_format", "TabSeparated"), data))
    return found


def describing(files: Mapping[str, Body]) -> frozenset[str]:
    """The field names that describe these files, and so are no settings."""
    return frozenset(name + aside for name in files for aside in _ASIDE)


def _of_types(types: str) -> str:
    """Columns _1, _2 ... of these types."""
    depth, start, found = 0, 0, []
    for token in tokens(types):
        if token.kind == "sign":
            depth += {"(": 1, ")": -1}.get(token.value, 0)
            if token.value == "," and depth == 0:
                found.append(types[start : token.start])
                start = token.end
    found.append(types[start:])
    return ", ".join(f"_{at} {one.strip()}" for at, one in enumerate(found, 1) if one.strip())
