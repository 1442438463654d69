"""Commands for rule authors."""

from __future__ import annotations

import typer

app = typer.Typer(help="Author rules.", no_args_is_help=True)
