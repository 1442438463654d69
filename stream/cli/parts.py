"""One part each, for production: worker, gateway, ClickHouse endpoint, viewer."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from emitter.vocabulary import stack as discovery
from stream.cli.options import (
    USAGE,
    ClickHouse,
    DataDir,
    HealthHost,
    HealthPort,
    Host,
    Kafka,
    Mode,
    ModeOption,
    Notify,
    Policy,
    Rules,
    clickhouse_of,
    fail,
    kafka_of,
)
from stream.faustkit.stuck import AFTER_S


class App(str, Enum):
    """Which Faust app a worker process runs."""

    loop = "loop"
    history = "history"


def worker(
    app: Annotated[
        App, typer.Option(help="loop: ingest, diagnose and remediate; history: the sink to ClickHouse.")
    ] = App.loop,
    kafka: Kafka = None,
    clickhouse: ClickHouse = None,
    rules: Rules = None,
    mode: ModeOption = Mode.approve,
    health_port: HealthPort = None,
    health_host: HealthHost = "127.0.0.1",
    stuck_after: Annotated[
        float,
        typer.Option(
            help="Seconds without reading any of what piles up, though nobody else is waited for, after "
            "which /healthz says stuck; 0: never.",
            min=0,
        ),
    ] = AFTER_S,
    data_dir: DataDir = None,
    notify: Notify = None,
    policy: Policy = None,
) -> None:
    """One Faust worker process; start as many of either app as there are partitions."""
    from stream.worker import run

    run(
        app=app.value,
        kafka=kafka_of(kafka),
        clickhouse=clickhouse_of(clickhouse) if app is App.history else clickhouse,
        rules=rules,
        mode=mode.value,
        health_port=health_port,
        health_host=health_host,
        stuck_after_s=stuck_after,
        data_dir=data_dir or discovery.data_dir(),
        notify=notify,
        policy=policy,
    )


def gateway(
    kafka: Kafka = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port for OTLP over HTTP.")] = 4318,
    grpc_port: Annotated[
        int, typer.Option(help="Port for OTLP over gRPC; 0: none.", min=0, max=65535)
    ] = 4317,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            help="Certificate with its chain (PEM): speak HTTPS. Read again when it changes.",
            envvar="TRAINWARDEN_GATEWAY_TLS_CERT", show_default=False,
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            help="Its private key (PEM); without, it is in the file of the certificate.",
            envvar="TRAINWARDEN_GATEWAY_TLS_KEY", show_default=False,
        ),
    ] = None,
    health_port: HealthPort = None,
    health_host: HealthHost = "127.0.0.1",
) -> None:  # fmt: skip
    """The OTLP entrance: OTLP over HTTP and gRPC comes in, the same bytes go to Kafka."""
    from stream.gateway import run

    if tls_key is not None and tls_cert is None:
        fail("--tls-key needs --tls-cert", USAGE)
    run(
        kafka=kafka_of(kafka), host=host, port=port, grpc_port=grpc_port or None, tls_cert=tls_cert,
        tls_key=tls_key, token=os.environ.get(discovery.ENV_GATEWAY_TOKEN) or None,
        otlp_token=os.environ.get(discovery.ENV_OTLP_TOKEN) or None, health_port=health_port,
        health_host=health_host,
    )  # fmt: skip


def clickhouse(
    data_dir: DataDir = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port for ClickHouse's HTTP interface.")] = 8123,
    health_port: HealthPort = None,
    health_host: HealthHost = "127.0.0.1",
) -> None:
    """The embedded ClickHouse engine behind ClickHouse's HTTP interface."""
    from stream.clickhouse import run

    run(
        data_dir=data_dir or discovery.data_dir() / "clickhouse", host=host, port=port,
        health_port=health_port, health_host=health_host,
    )  # fmt: skip


def view(
    clickhouse: ClickHouse = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the viewer.")] = 8400,
    kafka: Kafka = None,
    operator_key: Annotated[
        Path | None,
        typer.Option(
            help="Your private key: the page approves and rejects commands for you, over the loopback.",
            envvar="TRAINWARDEN_OPERATOR_KEY",
            show_default=False,
        ),
    ] = None,
) -> None:
    """The built-in viewer: draws the dashboards from the history; approves commands, given a key.

    Without --clickhouse it finds the running local stack. Beyond the loopback it asks for the token of
    TRAINWARDEN_VIEW_TOKEN, or makes one and says it.
    """
    from stream.web import ENV_TOKEN, ViewerError, run

    broker = kafka_of(kafka) if operator_key is not None else None
    try:
        run(
            clickhouse=clickhouse_of(clickhouse), host=host, port=port, kafka=broker,
            operator_key=operator_key, token=os.environ.get(ENV_TOKEN) or None,
        )  # fmt: skip
    except ViewerError as error:
        fail(str(error))


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in (worker, gateway, clickhouse, view):
        app.command()(command)
