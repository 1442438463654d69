"""Matching of log lines: exact, linear, and the same one by one or many at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.diagnose import logmatch
from stream.diagnose.logmatch import MAX_LINE, LogMatcher
from stream.rulelang import load_text

_RULE = """\
  - id: {id}
    category: custom.x
    summary: "x"
    on: train.log
    match: {match}
"""


def _rule(name: str, match: list[str], unless: list[str]) -> str:
    text = _RULE.format(id=name.replace("_", "-"), match=json.dumps(match))
    return text + (f"    unless: {json.dumps(unless)}\n" if unless else "")


def _matcher(**rules: tuple[list[str], list[str]]) -> LogMatcher:
    text = "pack: mine\nrules:\n" + "".join(_rule(name, *patterns) for name, patterns in rules.items())
    return LogMatcher(load_text(text, Path("mine.yaml")).rules)


ANCHORED = _matcher(
    start=(["^fail"], []),
    end=(["fail$"], []),
    all_of_it=(["^a.*b$", "^$"], []),
    word=([r"\bdown\b"], ["(?i)scal(?:e|ing)"]),
    odd=([r"[^a-z ]{3}", r"x\s+y"], ["^#"]),
    named=([r"code (?P<code>\d+)(?: at (?P<place>\w+))?"], []),
)
WHOLE = _matcher(first=([r"\Afail"], []), last=([r"fail\z"], []), off=(["(?-m:^a$)"], []))
PIECES = st.sampled_from(
    ["fail", "a", "b", " ", "down", "SCALE ", "#", "123", "x", "y", "code 7", " at home",
     "\n", "\r", "é", "\x1b[1;3m", "\x00", "\ud800", "\u2028"]
)  # fmt: skip
LINES = st.lists(st.lists(PIECES, max_size=5).map("".join), max_size=40)


@given(LINES, st.sampled_from([ANCHORED, WHOLE]))
def test_many_lines_at_once_are_matched_like_each_alone(lines: list[str], matcher: LogMatcher) -> None:
    """Joining lines finds the same rules and groups, whatever the anchors and whatever is in a line."""
    assert matcher.match_all(lines) == [matcher.match(line) for line in lines]


def test_anchors_mean_the_line() -> None:
    """Beginning and end of a pattern are those of the line, among many lines too."""
    lines = ["to fail", "fail over", "no failure", "acb", "", "it went down", "down, scaling"] * 3
    found = [sorted(match) for match in ANCHORED.match_all(lines)]
    assert found == [["end"], ["start"], [], ["all-of-it"], ["all-of-it"], ["word"], []] * 3
    assert [sorted(match) for match in WHOLE.match_all(["to fail", "fail it", "a"] * 3)] == (
        [["last"], ["first"], ["off"]] * 3
    )


def test_named_groups_are_given() -> None:
    """Groups that took part, as texts; others are left out."""
    assert ANCHORED.match("code 42 at home") == {"named": {"code": "42", "place": "home"}}
    assert ANCHORED.match("code 42") == {"named": {"code": "42"}}


def test_a_line_is_looked_at_up_to_a_limit() -> None:
    """What stands beyond MAX_LINE characters is not seen, one line or many."""
    inside, outside = "é" * (MAX_LINE - 4) + "fail", "é" * (MAX_LINE - 3) + "fail"
    assert set(ANCHORED.match(inside)) == {"end", "odd"}
    assert set(ANCHORED.match(outside)) == {"odd"}
    assert [set(match) for match in ANCHORED.match_all([outside, inside] * 4)] == [
        {"odd"},
        {"end", "odd"},
    ] * 4


def test_colours_are_not_part_of_a_line() -> None:
    """What a terminal would not show is taken out first, one line or many."""
    coloured = "\x1b[31mfail\x1b[0m code \x1b[1m4\x1b[0m2 at home"
    assert ANCHORED.match(coloured) == {"start": {}, "named": {"code": "42", "place": "home"}}
    assert ANCHORED.match_all(["quiet", coloured] * 20) == [{}, ANCHORED.match(coloured)] * 20


def test_no_log_rules_match_nothing() -> None:
    """A set without log rules has nothing to say."""
    matcher = LogMatcher(())
    assert (matcher.match("x"), matcher.match_all(["x", "y"])) == ({}, [{}, {}])


def test_more_patterns_than_one_pass_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many for one pass, a few are made, and no pattern is lost."""
    monkeypatch.setattr(logmatch, "_SET_MEMORY", 1 << 18)
    matcher = _matcher(**{f"r{number}": ([f"abc.{{0,50}} {number}$"], []) for number in range(100)})
    assert list(matcher.match("abc abc 7")) == ["r7"]
    assert list(matcher.match_all(["abc"] * 300 + ["abc 0 99"])[-1]) == ["r99"]


@pytest.mark.parametrize(
    ("pattern", "hit"), [("(a*)*b", False), ("(a|aa)+!$", True), ("(.*)(.*)(.*)(.*)c", False)]
)
def test_no_line_takes_long(pattern: str, hit: bool) -> None:
    """Patterns that take a backtracking engine longer than anybody lives are over at once."""
    matcher = _matcher(evil=([pattern], []))
    found = matcher.match_all(["a" * (MAX_LINE - 1) + "!"] * 20)
    assert [bool(match) for match in found] == [hit] * 20
