"""Options that several commands share, and how they find a running stack."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from emitter.vocabulary import stack as discovery

FOUND, USAGE, ERROR = 1, 2, 3


class Mode(str, Enum):
    """What remediation may do."""

    act = "act"
    approve = "approve"
    shadow = "shadow"


Host = Annotated[str, typer.Option(help="Address to listen on.")]
DataDir = Annotated[Path | None, typer.Option(help="Where data lives; the user's data directory by default.")]
Rules = Annotated[
    list[Path] | None,
    typer.Option("--rules", help="Folder or file of rule packs; the shipped packs by default.", exists=True),
]
Kafka = Annotated[
    str | None,
    typer.Option(help="Brokers: HOST:PORT, several with commas.", envvar=discovery.ENV_KAFKA),
]
ClickHouse = Annotated[
    str | None,
    typer.Option(
        help="ClickHouse: http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT/DATABASE.",
        envvar=discovery.ENV_CLICKHOUSE,
    ),
]
Policy = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="What remediation may do (docs/remediation.md).",
        envvar="TRAINWARDEN_POLICY",
    ),
]
HealthPort = Annotated[
    int | None,
    typer.Option(help="Serve /healthz, /readyz and /metrics (Prometheus) on this port.", min=0, max=65535),
]
HealthHost = Annotated[
    str, typer.Option(help="Address for --health-port; probes of Kubernetes need 0.0.0.0.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Notify = Annotated[
    Path | None,
    typer.Option(
        "--notify",
        metavar="FILE",
        help="Web hooks that are told (docs/notify.md).",
        envvar="TRAINWARDEN_NOTIFY",
    ),
]
ModeOption = Annotated[
    Mode,
    typer.Option(help="act: do what the rules say; approve: destructive actions wait; shadow: only record."),
]


def fail(message: str, code: int = ERROR) -> NoReturn:
    """One clear line on stderr, and the exit code."""
    typer.echo(f"trainwarden: {message}", err=True)
    raise typer.Exit(code)


def _endpoint(explicit: str | None, name: str, variable: str) -> str:
    found = discovery.read_stack() if explicit is None else None
    endpoint = explicit or (found["endpoints"].get(name) if found else None)
    if not endpoint:
        fail(
            f"no {name} is known: give --{name}, set {variable}, or start a stack with `trainwarden up`",
            USAGE,
        )
    return str(endpoint)


def kafka_of(explicit: str | None) -> str:
    """The brokers the user named, else those of the running local stack, else one clear error.

    Raises KafkaSettingError for a TRAINWARDEN_KAFKA_* that cannot be, before anything is started.
    """
    from stream.kafka import security

    security()
    return _endpoint(explicit, "kafka", discovery.ENV_KAFKA)


def clickhouse_of(explicit: str | None) -> str:
    """The ClickHouse the user named, else that of the running local stack, else one clear error."""
    return _endpoint(explicit, "clickhouse", discovery.ENV_CLICKHOUSE)
