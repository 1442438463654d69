"""``trainwarden ship``: files that trainers wrote without a network, sent on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli.options import ERROR


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ship)


def ship(
    path: Annotated[
        Path, typer.Argument(help="Folder of .jsonl and .jsonl.gz files, or one of them.", show_default=False)
    ],
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="http(s)://HOST:PORT, grpc(s)://HOST:PORT or kafka://HOST:PORT; the local stack by default.",
            envvar="TRAINWARDEN_ENDPOINT",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written, until Ctrl-C.")
    ] = False,
    cursor: Annotated[
        Path | None, typer.Option(help="Where to keep how far we are; PATH/.shipped.json by default.")
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds without an answer until we give up; with --follow never.")
    ] = 60.0,
) -> None:
    """Send telemetry from files (endpoint file:FOLDER of the emitter) to where it belongs.

    Run it again at any time: what was sent is not sent twice, and what is new is.
    """
    from stream.shipping.shipment import Shipment
    from stream.shipping.target import target_of

    def tell(text: str) -> None:
        typer.echo(f"trainwarden: {text}", err=True)

    target = target_of(endpoint)
    shipment = Shipment(path, target, tell, cursor=cursor)
    try:
        shipment.run(follow=follow, patience_s=float("inf") if follow else patience)
    except KeyboardInterrupt:
        pass
    finally:
        total = shipment.totals
        typer.echo(f"shipped {total.records} records of {total.files} files to {target.name}")
    if total.refused:
        tell(f"{total.refused} records were refused")
    if total.bad or total.refused:
        raise typer.Exit(ERROR)
