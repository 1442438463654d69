"""The command line. Each command is thin: it reads options and calls the part that does the work.

Results go to stdout, our own words to stderr. Exit codes: 0 fine or nothing found, 1 something of warning
or above was found, 2 wrong usage, 3 unreadable input or an error of ours.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from stream.cli import (
    actor,
    admin,
    commands,
    diagnose,
    doctor,
    explain,
    incidents,
    keys,
    local,
    notify,
    parts,
    rules,
    run,
    run_compare,
    run_export,
    run_report,
    runs,
    ship,
    top,
)
from stream.cli.options import ERROR

app = typer.Typer(
    name="trainwarden",
    help="Watch training runs, diagnose what goes wrong, and act on it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _logging(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more to stderr.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log only errors.")] = False,
) -> None:
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    # These narrate every request; their warnings still come through.
    for name in ("aiokafka", "aiohttp.access", "asyncio", "urllib3"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


for part in (local, parts, diagnose, explain, run, ship, top, actor, doctor):
    part.register(app)
app.add_typer(admin.topics, name="topics")
app.add_typer(admin.database, name="db")
app.add_typer(admin.dashboards, name="dashboards")
app.add_typer(rules.app, name="rules")
app.add_typer(runs.app, name="runs")
app.add_typer(commands.app, name="commands")
app.add_typer(incidents.app, name="incidents")
run_report.register(runs.app, incidents.app)
run_compare.register(runs.app)
run_export.register(runs.app)
app.add_typer(incidents.silences, name="silences")
app.add_typer(notify.app, name="notify")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """The ``trainwarden`` console script."""
    try:
        app(prog_name="trainwarden")
    except Exception as error:
        # Our own errors are sentences for the user; anything else is a bug and shows where it is.
        if type(error).__module__.split(".")[0] not in ("stream", "emitter", "dashboards"):
            logging.getLogger("trainwarden").exception("unexpected error")
        else:
            typer.echo(f"trainwarden: {error}", err=True)
        sys.exit(ERROR)
