"""The schema on a real engine: created, repeated, refused, changed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from stream import history, resources
from stream.history import ddl
from stream.history.migrate import migrate
from stream.history.settings import DEFAULT_DAYS, SchemaSettings
from tests.fixtures import Child, free_port
from tests.fixtures_clickhouse import spawn_clickhouse

SHIPPED = ddl.read_files(resources.path("clickhouse"))
STATEMENTS = [(file.name, text) for file in SHIPPED for text in ddl.statements(file.text)]
TABLES = {
    "otel_logs", "otel_traces", "otel_traces_trace_id_ts", "otel_traces_trace_id_ts_mv", "train_acks",
    "train_attempts", "train_commands", "train_control", "train_decisions", "train_devices",
    "train_devices_mv", "train_diagnoses", "train_evals", "train_goodput", "train_goodput_fleet",
    "train_goodput_rolled", "train_goodput_runs", "train_heartbeats", "train_incident_changes",
    "train_incidents", "train_metrics",
    "train_recovery", "train_recovery_runs", "train_reference", "train_resources", "train_resources_10s",
    "train_resources_10s_mv", "train_resources_1m", "train_resources_1m_mv", "train_runs",
    "train_runs_latest", "train_series", "train_series_mv", "train_standstills", "train_step_times",
    "train_steps", "train_steps_10s", "train_steps_10s_mv", "train_steps_1m", "train_steps_1m_mv",
    "train_stood", "trainwarden_batches", "trainwarden_migrations", "trainwarden_records",
    "trainwarden_sinks",
}  # fmt: skip


def names(client: Client) -> set[str]:
    return {str(row[0]) for row in client.query("SHOW TABLES").result_rows}


def definition(client: Client, table: str) -> str:
    return str(client.query(f"SHOW CREATE TABLE {table}").result_rows[0][0])


def test_an_empty_server_gets_database_and_tables_once(database_url: str) -> None:
    """The first run applies every file in order, the second none."""
    first, second = migrate(database_url), migrate(database_url)

    with history.connect(database_url) as client:
        assert names(client) == TABLES
    assert first == [file.name for file in SHIPPED]
    assert second == []


def test_two_processes_at_the_same_time_do_no_harm(database_url: str, tmp_path: Path) -> None:
    """Both succeed, and what is recorded reads as if one had run."""
    code = "import sys; from stream.history.migrate import migrate; print(migrate(sys.argv[1]))"
    migrate(database_url, folder=_folder(tmp_path, "CREATE TABLE IF NOT EXISTS x (a Int8) ENGINE = Memory"))
    with history.connect(database_url) as client:
        client.command("TRUNCATE TABLE trainwarden_migrations")

    both = [Child([sys.executable, "-c", code, database_url], tmp_path / f"{n}.log") for n in range(2)]
    ended = [child.process.wait(60) for child in both]

    assert ended == [0, 0], [child.log() for child in both]
    assert migrate(database_url) == []
    with history.connect(database_url) as client:
        assert names(client) > TABLES


def test_a_changed_file_is_refused(database_url: str, tmp_path: Path) -> None:
    """The error names the file, when it was applied, both checksums and the cure; nothing is changed."""
    create = "CREATE TABLE IF NOT EXISTS x (a Int8) ENGINE = Memory"
    migrate(database_url, folder=_folder(tmp_path, create))

    with pytest.raises(history.MigrationError) as caught:
        migrate(database_url, folder=_folder(tmp_path, create.replace("Int8", "Int16")))

    assert str(caught.value).startswith("0001_x.sql: expected the text that was applied at 20")
    assert "applied files never change: restore it and put the change in a new file" in str(caught.value)


def test_a_broken_statement_is_named_and_the_mended_file_goes_in(database_url: str, tmp_path: Path) -> None:
    """What came before it stands; a file counts as applied only when all of it is."""
    good = "CREATE TABLE IF NOT EXISTS x (a Int8) ENGINE = Memory;\n"
    wrong = _folder(tmp_path, good + "CREATE TABLE IF NOT EXISTS y (a Unt8) ENGINE = Memory;")

    with pytest.raises(history.MigrationError, match=r"0001_x.sql: statement 2 \(CREATE TABLE .* y .*Unt8"):
        migrate(database_url, folder=wrong)

    assert migrate(database_url, folder=_folder(tmp_path, good)) == ["0001_x.sql"]


def _folder(tmp_path: Path, text: str) -> Path:
    (tmp_path / "0001_x.sql").write_text(text)
    return tmp_path


def test_retention_follows_the_settings(database_url: str) -> None:
    """A change is applied to the tables it concerns, once, and can be taken back."""
    migrate(database_url)
    short = SchemaSettings(days={**DEFAULT_DAYS, "raw": 7, "rollups_10s": 14, "rollups": 30})

    changed = migrate(database_url, settings=short)

    with history.connect(database_url) as client:
        assert "TTL toDateTime(time) + toIntervalDay(7)\n" in definition(client, "train_steps")
    assert changed == [
        f"retention of {table}: {days} days"
        for table, days in [
            ("train_steps", 7), ("train_evals", 7), ("train_steps_1m", 30), ("train_resources", 7),
            ("train_metrics", 7), ("train_heartbeats", 7), ("train_steps_10s", 14),
            ("train_resources_10s", 14), ("train_resources_1m", 30), ("train_series", 30),
            ("train_devices", 30),
        ]
    ]  # fmt: skip
    assert migrate(database_url, settings=short) == []
    assert "retention of train_steps_1m: no limit" in migrate(database_url)
    with history.connect(database_url) as client:
        assert "TTL" not in definition(client, "train_steps_1m")


@pytest.mark.parametrize(
    "settings", [SchemaSettings(), SchemaSettings(cluster="main")], ids=["server", "cluster"]
)
def test_the_engine_parses_every_statement_in_both_forms(
    clickhouse_url: str, settings: SchemaSettings
) -> None:
    """There is no cluster here, so that form is parsed by the real engine, not run."""
    with history.connect(clickhouse_url) as client:
        for name, statement in STATEMENTS:
            tree = client.command(f"EXPLAIN AST {ddl.render(statement, settings)}")
            assert any(kind in str(tree) for kind in ("CreateQuery", "AlterQuery", "DropQuery")), name


def test_a_server_that_is_still_starting_is_waited_for(tmp_path: Path) -> None:
    """``up`` starts both at once; the migration takes a moment longer then."""
    endpoint = spawn_clickhouse(tmp_path / "data")
    try:
        assert migrate(endpoint.url, wait_s=60) == [file.name for file in SHIPPED]
    finally:
        endpoint.child.stop()


def test_nobody_there_is_said_after_the_wait() -> None:
    """One clear error with the address, the wait and the cure."""
    began = time.monotonic()

    with pytest.raises(history.UnreachableError, match=r"within 0\.5 s, got: .*; is it running\?"):
        migrate(f"http://127.0.0.1:{free_port()}", wait_s=0.5)

    assert time.monotonic() - began >= 0.2


def test_the_command_line_prints_what_it_did(database_url: str) -> None:
    """Names of files, and then that all is up to date."""
    command = [sys.executable, "-m", "stream.cli", "db", "migrate", "--clickhouse", database_url]

    printed = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]

    assert printed[0].splitlines() == [file.name for file in SHIPPED]
    assert printed[1].strip() == "up to date"
