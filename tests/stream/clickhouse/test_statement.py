"""Reading statements: where data begins, what is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.clickhouse import forbidden
from stream.clickhouse.errors import ClickHouseError, from_engine
from stream.clickhouse.lexer import tokens
from stream.clickhouse.statement import parse


@pytest.mark.parametrize(
    ("text", "sql", "data_format", "data"),
    [
        ("INSERT INTO t VALUES (1)", "INSERT INTO t ", "Values", " (1)"),
        ("insert into t (a, `format`) format CSV\n1,2", "insert into t (a, `format`) ", "CSV", "1,2"),
        ("INSERT INTO t FORMAT Native \r\n\nx", "INSERT INTO t ", "Native", "\nx"),
        ("INSERT INTO t SETTINGS a=1 FORMAT TSV 1\t2", "INSERT INTO t SETTINGS a=1 ", "TSV", "1\t2"),
        (
            "/* FORMAT X */ INSERT INTO t -- (\n FORMAT CSV\n'",
            "/* FORMAT X */ INSERT INTO t -- (\n ",
            "CSV",
            "'",
        ),
    ],
)
def test_insert_with_data(text: str, sql: str, data_format: str, data: str) -> None:
    """The head of an INSERT ends where its data begins, and the data is not looked at."""
    found = parse(text)
    assert (found.sql, found.data_format, text[found.data_start :]) == (sql, data_format, data)


@pytest.mark.parametrize(
    ("text", "output_format"),
    [
        ("SELECT 1", None),
        ("SELECT 'FORMAT x' FORMAT JSON", "JSON"),
        ("SELECT format('{}', 1)", None),
        ("SELECT 1 FORMAT `CSV` SETTINGS max_threads = 1", "CSV"),
        ("INSERT INTO t SELECT 1", None),
    ],
)
def test_other_statements(text: str, output_format: str | None) -> None:
    """A statement without data is taken whole; its FORMAT clause is found."""
    found = parse(text)
    assert (found.sql, found.data_format, found.output_format) == (text, None, output_format)


@given(inside=st.text())
def test_strings_hide_their_content(inside: str) -> None:
    """Whatever stands in a quoted string is one token and comes back unquoted."""
    escaped = inside.replace("\\", "\\\\").replace("'", "\\'")
    found = [token for token in tokens(f"SELECT '{escaped}' FROM t") if token.kind == "string"]
    assert [token.value for token in found] == [inside]


@given(text=st.text("'\"`\\/*-#$ ;()fileFORMAT{}\u2018\u2019\n", max_size=30))
def test_the_lexer_ends(text: str) -> None:
    """Any text is read to its end or refused; tokens never overlap."""
    at = 0
    with suppress(ClickHouseError):
        for token in tokens(text):
            assert at <= token.start < token.end <= len(text)
            at = token.end


REFUSED = [
    "SELECT file('/etc/passwd')",
    "SELECT `file`('/etc/passwd')",
    "SELECT \"fi\\x6ce\" /* x */ ('/etc/passwd')",
    "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
    "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
    "SELECT arrayMap(file, ['/etc/passwd'])",
    "SELECT arrayMap((file), ['/etc/passwd'])",
    "SELECT `array\\x4dap`(file, ['/etc/passwd'])",
    "SELECT arrayMap({f:Identifier}, ['/etc/passwd'])",
    "SELECT 1 /* /* */ ' */ , file('/etc/passwd')",
    "SELECT \u2018'\u2019, file('/etc/passwd'), \u2018'\u2019",
    "SELECT 1 -- '\n, file('/etc/passwd')",
    "SELECT a$$b, file('/etc/passwd'), a$$b",
    "SELECT * FROM file('/etc/passwd')",
    "SELECT * FROM python(x)",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
]
ALLOWED = [
    "SELECT file, line FROM train_diagnoses WHERE file = 'x(' AND concat(file, ':') != ''",
    "SELECT 'file(1)', $$file('x')$$ -- file('y')",
    "SELECT arrayMap(x -> x + 1, [1])",
    "SELECT profile('x'), arrayConcat(files, [1])",
    "SELECT infile FROM outfile",
    "SELECT map(file, line), array(file), arraySort({p:Array(String)}), mapKeys({m:Map(String, String)})",
]


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    """A statement that reaches for files is error 497, however it is written."""
    with pytest.raises(ClickHouseError, match="is not available on the embedded endpoint") as raised:
        forbidden.check(text)
    assert (raised.value.code, raised.value.status) == (497, 403)


@pytest.mark.parametrize("text", ALLOWED)
def test_allowed(text: str) -> None:
    """Columns and texts that only look like it are left alone."""
    forbidden.check(text)


def test_engine_errors() -> None:
    """Nested error texts of the engine become one code, one name, one message."""
    nested = "Code: 36. DB::Exception: no (x). (BAD_ARGUMENTS) (version 1.2)"
    error = from_engine(f"Failed: Code: 36. DB::Exception: {nested}. (BAD_ARGUMENTS)")
    assert (error.code, error.name, error.message, error.status) == (36, "BAD_ARGUMENTS", "no (x).", 400)
    assert from_engine("out of the blue").body("1.2") == (
        "Code: 1002. DB::Exception: out of the blue (UNKNOWN_EXCEPTION) (version 1.2)\n"
    )
