"""``trainwarden runs export``: a run as Parquet files."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.options import USAGE, ClickHouse, clickhouse_of, fail
from stream.cli.reporting import Force, asking, sentences

if TYPE_CHECKING:
    from stream.notebook import Run

SUFFIX = ".parquet"


class Part(str, Enum):
    """What of a run."""

    steps = "steps"
    evals = "evals"
    resources = "resources"
    logs = "logs"
    diagnoses = "diagnoses"
    incidents = "incidents"
    commands = "commands"
    acks = "acks"


def register(runs: typer.Typer) -> None:
    """Add the command."""
    runs.command("export")(export)


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id or name.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR|FILE.parquet", help="A folder, or a file for one part."),
    ],
    only: Annotated[
        list[Part] | None, typer.Option(help="Only these parts; in a file the steps.", show_default=False)
    ] = None,
    force: Force = False,
    clickhouse: ClickHouse = None,
) -> None:
    """Write a run as Parquet: steps, evals, resources, logs, diagnoses, incidents, commands and acks."""
    from stream.notebook import NotebookError

    parts = [part.value for part in only or ([Part.steps] if output.suffix == SUFFIX else list(Part))]
    if output.suffix == SUFFIX and len(parts) > 1:
        fail(f"{output}: expected one --only for a file, got {', '.join(parts)}; name a folder", USAGE)
    with sentences():
        url = clickhouse_of(clickhouse)
        targets = _targets(output, parts, force)
        try:
            _export(url, run, targets)
        except NotebookError as error:
            fail(str(error))


def _targets(output: Path, parts: list[str], force: bool) -> dict[str, Path]:
    """Where each part goes; the folder is made. Raises FileError."""
    from stream.report import files
    from stream.report.errors import FileError

    if output.suffix == SUFFIX:
        targets = {parts[0]: output}
    else:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{output}: cannot be made: {error.strerror or error}", usage=True) from error
        targets = {part: output / f"{part}{SUFFIX}" for part in parts}
    for target in targets.values():
        files.check(target, force)
    return targets


def _export(url: str, wanted: str, targets: dict[str, Path]) -> None:
    from stream.notebook import History
    from stream.report import about_run

    with asking(url) as ask:
        found = about_run.find(ask, wanted)
    with History(url) as history:
        run: Run = history.run(found)
        for part, target in targets.items():
            rows = run.write(part, target)
            typer.echo(f"{target}  {rows:,} rows")
