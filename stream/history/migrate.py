"""Bring the schema up to date: apply the files of ``deploy/clickhouse`` that were not applied yet.

Applied files are recorded by name and checksum in ``trainwarden_migrations``. Every statement may be run
again without harm (a test holds that), so that two processes may migrate at once and one that died in the
middle of a file is mended by the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from stream import resources
from stream.history import ddl
from stream.history.client import Address, connect, error_code, first_line
from stream.history.errors import MigrationError
from stream.history.settings import SchemaSettings, from_environment

WAIT_S: Final = 30.0
UNKNOWN_DATABASE: Final = 81

_LEDGER: Final = """\
CREATE TABLE IF NOT EXISTS trainwarden_migrations {on_cluster}
(
    name String,
    checksum String,
    applied DateTime64(3) DEFAULT now64(3)
)
ENGINE = {engine:MergeTree}
ORDER BY name"""


def migrate(
    url: str,
    *,
    settings: SchemaSettings | None = None,
    folder: Path | None = None,
    wait_s: float = WAIT_S,
) -> list[str]:
    """Apply what is missing; what was done, in order: names of files, and tables whose retention changed.

    ``settings`` default to the environment (stream/history/settings.py), ``folder`` to the shipped files.
    Raises UnreachableError after ``wait_s``, MigrationError for an applied file that has changed since.
    """
    settings = settings or from_environment()
    files = ddl.read_files(folder or resources.path("clickhouse"))
    client = _open(url, settings, wait_s)
    try:
        client.command(ddl.render(_LEDGER, settings))
        pending = _pending(client, files)
        for file in pending:
            _apply(client, file, settings)
        return [file.name for file in pending] + _apply_retention(client, ddl.table_ttls(files), settings)
    finally:
        client.close()


def missing(client: Client, folder: Path | None = None) -> list[str]:
    """The names of the files not applied yet; changes nothing. Raises MigrationError as ``migrate`` does."""
    files = ddl.read_files(folder or resources.path("clickhouse"))
    if not client.query("EXISTS TABLE trainwarden_migrations").result_rows[0][0]:
        return [file.name for file in files]
    return [file.name for file in _pending(client, files)]


def _open(url: str, settings: SchemaSettings, wait_s: float) -> Client:
    """A client on the database of the URL, which is created where it is missing."""
    try:
        return connect(url, wait_s=wait_s)
    except ClickHouseError as error:
        if error_code(error) != UNKNOWN_DATABASE:
            raise MigrationError(f"{Address.parse(url)}: {first_line(error)}") from error
    database = Address.parse(url).database.replace("`", "``")
    with connect(url, database="default") as client:
        client.command(ddl.render(f"CREATE DATABASE IF NOT EXISTS `{database}` {{on_cluster}}", settings))
    return connect(url, wait_s=wait_s)


def _pending(client: Client, files: Sequence[ddl.File]) -> list[ddl.File]:
    """The files not applied yet. Raises MigrationError for an applied one that has changed."""
    rows = client.query(
        "SELECT name, argMin(checksum, applied), toString(min(applied))"
        " FROM trainwarden_migrations GROUP BY name"
    ).result_rows
    applied = {name: (checksum, when) for name, checksum, when in rows}
    for file in files:
        checksum, when = applied.get(file.name, (file.checksum, ""))
        if checksum != file.checksum:
            raise MigrationError(
                f"{file.name}: expected the text that was applied at {when} (checksum {checksum}), "
                f"got another ({file.checksum}); applied files never change: restore it and put "
                "the change in a new file"
            )
    return [file for file in files if file.name not in applied]


def _apply(client: Client, file: ddl.File, settings: SchemaSettings) -> None:
    for position, statement in enumerate(ddl.statements(file.text), start=1):
        try:
            client.command(ddl.render(statement, settings))
        except ClickHouseError as error:
            raise MigrationError(
                f"{file.name}: statement {position} ({statement.splitlines()[0]}): {first_line(error)}"
            ) from error
    client.insert("trainwarden_migrations", [[file.name, file.checksum]], column_names=["name", "checksum"])


def _apply_retention(client: Client, ttls: Iterable[ddl.TableTtl], settings: SchemaSettings) -> list[str]:
    """Give each table the retention of the settings; the tables that had another, with their new one."""
    query = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"
    definitions = {str(name): str(definition) for name, definition in client.query(query).result_rows}
    changed = []
    for ttl in ttls:
        definition, clause = definitions.get(ttl.table, ""), ttl.clause(settings)
        present = f"{clause} " in f"{definition} " if clause else " TTL " not in definition
        if present or not definition:
            continue
        change = f"MODIFY {clause}" if clause else "REMOVE TTL"
        client.command(ddl.render(f"ALTER TABLE {ttl.table} {{on_cluster}} {change}", settings))
        days = settings.days[ttl.kind]
        changed.append(f"retention of {ttl.table}: {f'{days} days' if days else 'no limit'}")
    return changed
