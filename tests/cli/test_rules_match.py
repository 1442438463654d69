"""``trainwarden rules match`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream import cli
from stream.cli.lines import read_lines
from stream.cli.options import ERROR, FOUND, USAGE

_PACK = """\
pack: mine
rules:
  - id: soft
    category: custom.soft
    summary: "soft"
    on: train.log
    severity: info
    match: [boom, whisper]
  - id: loud
    category: custom.loud
    summary: "loud {code}"
    on: train.log
    severity: critical
    match: ['boom code (?P<code>\\d+)']
    unless: [just a test]
    when: number(code) > 10
  - id: counted
    category: custom.counted
    summary: "counted"
    on: train.log
    match: ['often (?P<code>\\d+)']
    when: count(number(code), last=10) >= 5
  - id: trial
    category: custom.trial
    summary: "trial"
    on: train.log
    maturity: experimental
    match: [trial]
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Four rules of different strength."""
    path = tmp_path / "mine.yaml"
    path.write_text(_PACK)
    return path


def _match(pack: Path, text: bytes, *options: str) -> tuple[int, list[dict[str, Any]]]:
    log = pack.parent / "some.log"
    log.write_bytes(text)
    result = CliRunner().invoke(
        cli.app, ["rules", "match", str(log), "--json", "--rules", str(pack), *options]
    )
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def test_the_strongest_rule_gives_the_category(pack: Path) -> None:
    """All rules that match are named, strongest first, and the first one's category counts."""
    code, found = _match(pack, b"boom code 42\nnothing\n")

    assert code == FOUND
    assert found == [
        {"line": 1, "rules": ["loud", "soft"], "category": "custom.loud"},
        {"line": 2, "rules": [], "category": None},
    ]


def test_conditions_on_groups_count_and_windows_do_not(pack: Path) -> None:
    """A `when` that looks at the line alone is asked; one that needs a history counts as true."""
    _, found = _match(pack, b"boom code 7\noften 3\nboom code 42, just a test\n")

    assert [line["rules"] for line in found] == [["soft"], ["counted"], ["soft"]]


def test_information_alone_is_no_finding(pack: Path) -> None:
    """Exit code 0 unless a rule of warning or above matched."""
    assert _match(pack, b"whisper\n")[0] == 0


def test_experimental_rules_need_asking_for(pack: Path) -> None:
    """They match only with --experimental."""
    assert _match(pack, b"trial\n")[1][0]["rules"] == []
    assert _match(pack, b"trial\n", "--experimental")[1][0]["rules"] == ["trial"]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (b"", []),
        (b"boom", [["soft"]]),
        (b"boom\r\nfine\rboom\n\n", [["soft"], ["soft"], []]),
        (b"\xff\xfe boom \x00\n", [["soft"]]),
        (b"boom " + b"x" * 3_000_000 + b"\nboom\n", [["soft"], ["soft"]]),
        (b"x" * 3_000_000 + b"boom\nboom\n", [[], ["soft"]]),
    ],
    ids=["empty", "no newline at the end", "carriage returns", "not UTF-8", "long", "match beyond the limit"],
)
def test_any_bytes_are_lines(pack: Path, text: bytes, rules: list[list[str]]) -> None:
    """Lines end at newlines only; whatever else comes is looked at, long lines at their beginning."""
    assert [line["rules"] for line in _match(pack, text)[1]] == rules


def test_a_long_line_is_not_held(tmp_path: Path) -> None:
    """Memory is bounded: of a line of many megabytes only its head is kept."""
    log = tmp_path / "long.log"
    log.write_bytes(b"y" * 5_000_000 + b"\nnext\n")

    lengths = [len(line) for line in read_lines(log)]

    assert lengths == [65_536, 4]


def test_stdin_is_a_file_too(pack: Path) -> None:
    """`-` reads stdin."""
    result = CliRunner().invoke(
        cli.app, ["rules", "match", "-", "--json", "--rules", str(pack)], input="whisper\nno\n"
    )

    assert [json.loads(line)["rules"] for line in result.stdout.splitlines()] == [["soft"], []]


def test_a_person_sees_the_lines_that_match(pack: Path) -> None:
    """Without --json: number, severity, category, rules, and the line without control characters."""
    result = CliRunner().invoke(
        cli.app, ["rules", "match", "-", "--rules", str(pack)], input="fine\nboom code 42 \x1b[2J\n"
    )

    assert "2  critical  custom.loud  loud, soft" in result.stdout
    assert "boom code 42  [2J" in result.stdout
    assert "1 of 2 lines match a rule" in result.stderr


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """One line says so, exit code 3; a folder is wrong usage."""
    result = CliRunner().invoke(cli.app, ["rules", "match", str(tmp_path / "none.log")])

    assert result.exit_code == ERROR
    assert "none.log: No such file or directory" in result.stderr
    assert CliRunner().invoke(cli.app, ["rules", "match", str(tmp_path)]).exit_code == USAGE
