"""``trainwarden diagnose``: recorded data through the rules, without any service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.options import FOUND, AsJson, Rules


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(diagnose)


def diagnose(
    paths: Annotated[list[Path], typer.Argument(help="Recorded runs.", exists=True)],
    rules: Rules = None,
    as_json: AsJson = False,
) -> None:
    """Find what went wrong in recorded runs."""
    from stream import resources
    from stream.diagnose.batches import batches
    from stream.diagnose.engine import Engine
    from stream.offline import jsonl
    from stream.rulelang import load_packs

    ruleset = load_packs(rules or [resources.path("rules")])
    loud = False
    for path in paths:
        engine = Engine(ruleset)
        for batch in batches(jsonl.read(path), run=path.stem):
            for found in engine.process(batch):
                if found.state == "firing":
                    loud |= found.severity != "info"
                    typer.echo(json.dumps(found.to_json()) if as_json else found.summary)
    if loud:
        raise typer.Exit(FOUND)
