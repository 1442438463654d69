"""``trainwarden runs report`` and ``trainwarden incidents report``."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli.options import ClickHouse, Kafka, Rules, clickhouse_of
from stream.cli.reporting import Force, FormatOption, Output, asking, form, precheck, put, sentences, shelf


def register(runs: typer.Typer, incidents: typer.Typer) -> None:
    """Add both commands."""
    runs.command("report")(report_run)
    incidents.command("report")(report_incident)


def report_run(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id or name.")],
    output: Output = None,
    wanted: FormatOption = None,
    force: Force = False,
    rules: Rules = None,
    clickhouse: ClickHouse = None,
    kafka: Kafka = None,
) -> None:
    """Write a run's report: one file with everything in it."""
    from stream.report import about_run, pages

    with sentences():
        precheck(output, force)
        with asking(clickhouse_of(clickhouse)) as ask:
            found = about_run.find(ask, run)
            facts = about_run.facts(ask, found, shelf(rules, kafka))
        suffix = form(output, wanted)
        put(pages.run_page(facts, suffix), output, f"{facts.name or facts.id}-report", suffix, force)


def report_incident(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The incident's id, or how it begins.")],
    output: Output = None,
    wanted: FormatOption = None,
    force: Force = False,
    rules: Rules = None,
    clickhouse: ClickHouse = None,
    kafka: Kafka = None,
) -> None:
    """Write an incident's report: one file with everything in it."""
    from stream.report import about_incident, pages, recovering

    with sentences():
        precheck(output, force)
        with asking(clickhouse_of(clickhouse)) as ask:
            record = about_incident.find(ask, identity)
            recoveries = recovering.of_run(ask, record["run"])
            facts = about_incident.facts(ask, record, shelf(rules, kafka), recoveries)
        suffix = form(output, wanted)
        put(pages.incident_page(facts, suffix), output, f"incident-{facts.id[:12]}-report", suffix, force)
