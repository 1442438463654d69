"""The log rules against lines written for them: accidents are noticed, the rest is left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Final
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter.vocabulary.diagnoses import CATEGORIES
from stream import resources
from stream.diagnose import logmatch
from stream.diagnose.lines import LineJudge
from stream.rulelang import load_packs
from stream.rulelang.model import Rule
from tests.rules.log_corpus import ACCIDENTS, BENIGN, QUIET_WRAPPINGS, WRAPPINGS, Line

RULES = load_packs([resources.path("rules")])
_SHARES: Final = 8
_ROOM: Final = 1 << 30
"""Bytes for RE2's automaton: where no two lines are alike, the usual room is full after a few of them."""


@cache
def _judge() -> LineJudge:
    judge = LineJudge(RULES)
    with mock.patch.object(logmatch, "_SET_MEMORY", _ROOM):
        logmatch._compiled.cache_clear()
        judge.judge(["compiled at the first line"])
    logmatch._compiled.cache_clear()
    return judge


def rules_of(text: str) -> list[Rule]:
    """The rules that a line matches, strongest first."""
    return _judge().judge([text])[0]


def categories(texts: list[str]) -> list[str | None]:
    """What ``rules match`` says about lines."""
    return [found[0].category if found else None for found in _judge().judge(texts)]


def test_the_corpus_is_large_and_knows_its_words() -> None:
    """Enough lines of each kind, no line twice, every category one of the vocabulary."""
    assert len(ACCIDENTS) >= 150
    assert len(BENIGN) >= 120
    assert Counter(line.text for line in (*ACCIDENTS, *BENIGN)).most_common(1)[0][1] == 1
    assert {line.category for line in ACCIDENTS} <= CATEGORIES


def _strays(lines: list[Line], wrap: Callable[[str], str]) -> list[tuple[str | None, Line]]:
    got = zip(categories([wrap(line.text) for line in lines]), lines, strict=True)
    return [(found, line) for found, line in got if found != line.category]


def _share(lines: list[Line], wrapping: str) -> list[Line]:
    """Every line as it is; in each wrapping one line in eight, each line in three of them."""
    if wrapping == "as it is":
        return lines
    share = lines[list(WRAPPINGS).index(wrapping) % _SHARES :: _SHARES]
    print(f"{len(share)} of {len(lines)} lines; all of them at night")
    return share


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_accidents_are_noticed_by_their_class(wrapping: str) -> None:
    """A line that tells of an accident gives its category, whatever wrote it down."""
    assert _strays(_share(ACCIDENTS, wrapping), WRAPPINGS[wrapping]) == []


@pytest.mark.parametrize("wrapping", QUIET_WRAPPINGS)
def test_what_only_looks_alarming_is_left_alone(wrapping: str) -> None:
    """No rule matches a line that tells of nothing wrong, whatever wrote it down."""
    assert _strays(_share(BENIGN, wrapping), QUIET_WRAPPINGS[wrapping]) == []


@pytest.mark.nightly
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_line_in_every_wrapping(wrapping: str) -> None:
    """All accidents and all quiet lines, each in all two dozen wrappings."""
    assert _strays(ACCIDENTS, WRAPPINGS[wrapping]) == []
    assert _strays(BENIGN, QUIET_WRAPPINGS[wrapping]) == []


@given(
    line=st.sampled_from([*ACCIDENTS, *BENIGN]),
    outer=st.sampled_from(["time in brackets", "containerd", "syslog", "kubectl logs --prefix", "ray"]),
    inner=st.sampled_from(["as it is", "logging", "torch rank", "torchrun tee", "red"]),
)
def test_one_wrapping_inside_another_changes_nothing(line: Line, outer: str, inner: str) -> None:
    """A line that a launcher marked and a collector marked again keeps its category."""
    assert categories([WRAPPINGS[outer](WRAPPINGS[inner](line.text))]) == [line.category]


def test_every_xid_of_the_catalogue_has_one_rule() -> None:
    """NVIDIA's catalogue ends at 172; each of its codes belongs to one family of actions."""
    texts = [
        f"NVRM: Xid (PCI:0000:3b:00): {code}, pid=8812, name=python, something" for code in range(1, 173)
    ]
    found = _judge().judge(texts)
    assert [len(rules) for rules in found] == [1] * 172
    assert {rules[0].category for rules in found} == {"xid"}
    assert "xid-unknown" not in {rules[0].id for rules in found}


@pytest.mark.parametrize(
    ("code", "rule", "severity"),
    [
        (13, "xid-restart", "warning"),
        (31, "xid-restart", "warning"),
        (43, "xid-ignore", "info"),
        (45, "xid-ignore", "info"),
        (48, "xid-memory", "critical"),
        (63, "xid-ignore", "info"),
        (64, "xid-memory", "critical"),
        (74, "xid-nvlink", "critical"),
        (79, "xid-lost", "critical"),
        (92, "xid-ignore", "info"),
        (94, "xid-restart", "warning"),
        (95, "xid-memory", "critical"),
        (119, "xid-reset", "critical"),
        (121, "xid-ignore", "info"),
        (140, "xid-memory", "critical"),
        (173, "xid-unknown", "warning"),
        (1000, "xid-unknown", "warning"),
    ],
)
def test_an_xid_is_told_with_the_action_that_nvidia_recommends(code: int, rule: str, severity: str) -> None:
    """Restart the application, reset the GPU, leave the node, or nothing at all."""
    found = rules_of(f"NVRM: Xid (PCI:0000:3b:00): {code}, pid='<unknown>', name=<unknown>, text")
    assert [(one.id, one.severity) for one in found] == [(rule, severity)]


def test_a_line_is_claimed_by_few() -> None:
    """Rules overlap only where one tells the cause of the other; nothing is claimed by four."""
    found = zip(ACCIDENTS, _judge().judge([line.text for line in ACCIDENTS]), strict=True)
    counts = {line.text: [rule.id for rule in rules if rule.id != "error-line"] for line, rules in found}
    assert {text: ids for text, ids in counts.items() if len(ids) > 3} == {}
