"""The files of deploy/clickhouse: how they are read and rendered, and rules that hold for all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream import resources
from stream.history import ddl
from stream.history.errors import MigrationError
from stream.history.settings import SchemaSettings

SERVER = SchemaSettings()
CLUSTER = SchemaSettings(cluster="main")
FILES = ddl.read_files(resources.path("clickhouse"))
REPEATABLE = re.compile(
    r"(CREATE (TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS|CREATE OR REPLACE VIEW|DROP VIEW IF EXISTS)"
    r" \w+ \{on_cluster\}"
    r"|ALTER TABLE \w+ \{on_cluster\} (ADD COLUMN IF NOT EXISTS|MODIFY COLUMN) "
)
STATEMENTS = [(file.name, text) for file in FILES for text in ddl.statements(file.text)]


def test_statements_are_split_at_semicolons_outside_texts_and_comments() -> None:
    """Semicolons in strings, names and comments do not end a statement; comments are left out."""
    text = "-- a; b\nSELECT 'x;''y\\';--' -- c;\n;/* ; */ SELECT `a;b`;\n\n-- the end;\n"

    assert list(ddl.statements(text)) == ["SELECT 'x;''y\\';--'", " SELECT `a;b`"]


def test_a_checksum_knows_the_text_but_not_its_line_ends() -> None:
    """A checkout with other line ends has the same checksum; another text has another."""
    assert ddl.File("a", "x\ny\n").checksum == ddl.File("a", "x\r\ny").checksum
    assert ddl.File("a", "x\ny\n").checksum != ddl.File("a", "x\nz\n").checksum


def test_one_source_gives_the_server_form_and_the_cluster_form() -> None:
    """On a cluster statements run everywhere and engines are replicated."""
    text = (
        "CREATE TABLE t {on_cluster} (a Int8, time DateTime)"
        " ENGINE = {engine:MergeTree} {ttl:raw:time} SETTINGS {dedup}"
    )

    single, cluster = (ddl.render(text, settings) for settings in (SERVER, CLUSTER))

    assert "ENGINE = MergeTree TTL toDateTime(time) + toIntervalDay(400) SETTINGS non_rep" in single
    assert cluster.startswith("CREATE TABLE t ON CLUSTER 'main' (a Int8")
    assert "ENGINE = ReplicatedMergeTree TTL" in cluster
    assert "SETTINGS replicated_deduplication_window = 10000, replicated_dedup" in cluster


def test_rows_kept_for_ever_have_no_ttl() -> None:
    """Retention 0 leaves the clause out."""
    assert ddl.render("X {ttl:decisions:time} Y", SERVER) == "X  Y"


def test_an_unknown_retention_kind_is_an_error() -> None:
    """A typing mistake in a file is caught when it is rendered."""
    with pytest.raises(MigrationError, match=r"expected a retention kind out of logs, raw, .*, got 'rwa'"):
        ddl.render("{ttl:rwa:time}", SERVER)


@pytest.mark.parametrize(
    "names", [["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"], ["0000_a.sql"], ["first.sql"]]
)
def test_numbers_have_no_gaps_and_no_doubles(tmp_path: Path, names: list[str]) -> None:
    """The folder is refused with the name that was expected there."""
    for name in names:
        (tmp_path / name).write_text("SELECT 1")

    with pytest.raises(MigrationError, match=r"expected 000\d_<name>.sql here \(numbers without gaps\)"):
        ddl.read_files(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    """An installation without its data says so."""
    with pytest.raises(MigrationError, match=r"expected files named NNNN_<name>.sql, found none"):
        ddl.read_files(tmp_path)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_names_the_writer_of_its_tables(file: ddl.File) -> None:
    """The header comment ends with the one writer."""
    header = file.text.split("\n\n", 1)[0]

    assert all(line.startswith("-- ") for line in header.splitlines())
    assert re.search(r"^-- Writer: ", header, re.MULTILINE)


@pytest.mark.parametrize(("name", "statement"), STATEMENTS)
def test_each_statement_may_run_twice_and_on_a_cluster(name: str, statement: str) -> None:
    """Two processes may migrate at once, and one that died half way is mended by the next."""
    assert REPEATABLE.match(statement)


@pytest.mark.parametrize(
    ("name", "statement"), [item for item in STATEMENTS if item[1].startswith("CREATE TABLE ")]
)
def test_each_table_remembers_insert_tokens_and_says_how_it_is_replicated(name: str, statement: str) -> None:
    """Without a window a repeated insert would duplicate rows."""
    assert "{dedup}" in statement
    assert re.search(r"ENGINE = \{engine:\w+\}", statement)


def test_each_table_has_a_retention_but_runs_and_claims() -> None:
    """What the settings can bound; the few rows of train_runs and one claim for each partition stay."""
    created = {
        match for _, text in STATEMENTS for match in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", text)
    }

    assert created - {ttl.table for ttl in ddl.table_ttls(FILES)} == {"train_runs", "trainwarden_sinks"}
