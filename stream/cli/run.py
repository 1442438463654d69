"""``trainwarden run``: supervise a trainer."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class OnHang(str, Enum):
    """What to do about a trainer that makes no progress."""

    restart = "restart"
    report = "report"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(context_settings={"ignore_unknown_options": False})(run)


def run(
    command: Annotated[
        list[str],
        typer.Argument(help="The trainer, after `--`: -- torchrun ... train.py", show_default=False),
    ],
    max_restarts: Annotated[
        int, typer.Option(help="Most restarts after failures within --window.", min=0)
    ] = 10,
    window: Annotated[float, typer.Option(help="Seconds that --max-restarts counts in.", min=1)] = 3600.0,
    hang_after: Annotated[
        float | None,
        typer.Option(
            help="Seconds without progress that are a hang; 300 by default, and never less than 2.5 of the "
            "slowest recent steps.",
            min=0.5,
        ),
    ] = None,
    long_phase: Annotated[
        float, typer.Option(help="The same before the first step and in phases other than training.", min=0.5)
    ] = 3600.0,
    on_hang: Annotated[OnHang, typer.Option(help="End and restart a hung trainer, or only report.")] = (
        OnHang.restart
    ),
    backoff: Annotated[
        float, typer.Option(help="Seconds before the first restart; doubles.", min=0.01)
    ] = 1.0,
    grace: Annotated[
        float, typer.Option(help="Seconds to end in after a signal was passed on; then SIGKILL.", min=0.1)
    ] = 60.0,
    several_nodes: Annotated[
        bool | None,
        typer.Option(
            "--several-nodes/--one-node",
            help="Whether other nodes belong to the run; seen from the launcher by default.",
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option(help="On several nodes: seconds to wait for a restart of the whole run.", min=0.1)
    ] = 3600.0,
    lines_per_s: Annotated[int, typer.Option(help="Most lines a second of each output stream.", min=1)] = 100,
    instrument: Annotated[
        bool,
        typer.Option("--instrument", help="Report the steps of a torch trainer that does not call emitter."),
    ] = False,
    state_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for what is to outlive this process: a requeued job resumes by it."),
    ] = None,
) -> None:
    """Start a trainer, watch it from outside, and start it again where it left off.

    Its output passes through unchanged; we exit with its code, 128 + n for signals.
    """
    from stream.supervise.options import Options
    from stream.supervise.restarts import Terms
    from stream.supervise.supervisor import Supervisor
    from stream.supervise.watching import Limits

    limits = Limits(long=long_phase)
    if hang_after is not None:
        limits = Limits(floor=hang_after, long=long_phase, silence=hang_after)
    options = Options(
        command=command,
        terms=Terms(most=max_restarts, window_s=window, first_s=backoff),
        limits=limits,
        grace_s=grace,
        lines_per_s=lines_per_s,
        kill_hung=on_hang is OnHang.restart,
        several_nodes=several_nodes,
        wait_s=wait,
        state=state_dir,
        instrument=instrument,
    )
    raise typer.Exit(Supervisor(options).run())
