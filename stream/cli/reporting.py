"""What the commands that write reports share: options, where a report goes, and their errors as sentences."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.options import ERROR, USAGE, fail

if TYPE_CHECKING:
    from stream.report.ask import Ask
    from stream.report.ruletext import Shelf


class Format(str, Enum):
    """Of a report."""

    html = "html"
    md = "md"


Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", show_default=False,
        help="Where to; - is the standard output. NAME-report.FORMAT by default.",
    ),
]  # fmt: skip
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format", help="html or md; by default as the file is called, else html.", show_default=False
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def form(output: Path | None, wanted: Format | None) -> str:
    """The format that was asked for, in words or by the file's name."""
    if wanted is not None:
        return wanted.value
    named = output is not None and output.suffix.lower() in (".md", ".markdown")
    return Format.md.value if named else Format.html.value


@contextmanager
def sentences() -> Iterator[None]:
    """Errors of reports as one line and an exit code."""
    from stream.history.errors import HistoryError
    from stream.ledger.errors import LedgerError
    from stream.report.errors import FileError, ReportError

    try:
        yield
    except FileError as error:
        fail(str(error), USAGE if error.usage else ERROR)
    except (ReportError, LedgerError, HistoryError) as error:
        fail(str(error))


@contextmanager
def asking(url: str) -> Iterator[Ask]:
    """A way to ask ClickHouse; its library's own words stay out."""
    from stream.report import ask

    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    with ask.asking(url) as found:
        yield found


def shelf(paths: list[Path] | None, kafka: str | None) -> Shelf:
    """The rules in force where a broker is known, else these packs, else the shipped ones."""
    from stream.report.ruletext import Shelf
    from stream.rulelang import RuleErrors

    try:
        return (None if paths else _in_force(kafka)) or Shelf.of_files(paths)
    except RuleErrors as error:
        fail(f"the rules do not load: {error.errors[0]}")


def _in_force(kafka: str | None) -> Shelf | None:
    from aiokafka.errors import KafkaError

    from emitter.vocabulary import stack as discovery
    from stream.report.ruletext import Shelf
    from stream.rulebook import inforce
    from stream.rulebook.bundle import BundleError
    from stream.rulelang import RuleErrors

    stack = discovery.read_stack() or {"endpoints": {}}
    broker = kafka or stack["endpoints"].get("kafka")
    if not broker:
        return None
    errors = (OSError, KafkaError, BundleError, RuleErrors)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        bundle = asyncio.run(inforce.read(str(broker)))
        return None if bundle is None else Shelf(bundle.texts, bundle.load())
    except errors as error:
        typer.echo(f"trainwarden: rules in force are not known ({error}); showing those at hand", err=True)
        return None


def put(text: str, path: Path | None, named: str, suffix: str, force: bool) -> None:
    """Write it there, and say where on stderr. Raises FileError."""
    from stream.report import files

    if path is not None and str(path) == files.STDOUT:
        typer.echo(text, nl=False)
        return
    target = path or files.default(named, suffix)
    files.check(target, force)
    files.write(target, text)
    typer.echo(str(target))


def precheck(path: Path | None, force: bool) -> None:
    """A file that cannot be written is said before anything is asked. Raises FileError."""
    from stream.report import files

    if path is not None and str(path) != files.STDOUT:
        files.check(path, force)
