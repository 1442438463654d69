"""Files that nobody wrote with good intentions: errors or speed, never a traceback."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.diagnose.samples import run_samples
from stream.rulelang import RuleError, RuleErrors, load_text, load_texts
from stream.rulelang.load import MAX_RULES

RULE = """\
  - id: rule-{}
    category: grad_explosion
    summary: "{{grad_norm:.3g}} {{ratio:.1f}}"
    on: train.step
    params: {{limit: {}}}
    let: {{ratio: "grad_norm / median(grad_norm, last=200)"}}
    when: ratio > limit
    tests: [{{name: a, series: {{grad_norm: "1x99999"}}, expect: []}}]
"""

FULL = yaml.safe_load(
    """
pack: full
rules:
  - id: joined
    category: overfitting
    summary: "{gap:.3g}"
    on: train.eval
    by: [run, role, rank]
    where: step > 3
    params: {limit: 2}
    with: {train_loss: last(train.step.loss)}
    let: {gap: eval_loss - train_loss}
    when: gap > limit and peers.count() >= 0.5
    for: 2
    clear_when: gap < 0
    keep_firing: 3s
    learn: calm
    inhibited_by: [lines]
    same: [node]
    severity: info
    mode: act
    maturity: stable
    cooldown: 5m
    settle: 1s
    then: [{set: {parameter: lr, scale: 0.5, if_unresolved: 5m}}]
    tests:
      - name: a
        every: 2s
        until: 9s
        ranks: {0-1: {eval_loss: 1x3, train.step.loss: 1x3, node: a, role: b, lines: [x]}}
        events: [{at: 3s, event: train.eval, rank: 1, attempt: 0, step: 5, eval_loss: 3}]
        expect: [{step: 3, rank: 0}]
        resolved: []
  - id: lines
    category: custom.x
    summary: "{text}"
    on: train.log
    match: ["(?P<code>[0-9]+)"]
    unless: [benign]
    by: [run, code]
    tests: [{name: b, lines: [one], expect: []}]
  - id: stalled
    category: hang
    summary: "{silent}"
    absent: {of: train.step, for: 5m, after: train.eval, times: 3, phases: [train]}
    tests: [{name: c, series: {train.step: 1x3}, expect: []}]
""".replace("on: ", '"on": ')
)


def _errors(text: str) -> list[str]:
    with pytest.raises(RuleErrors) as caught:
        load_text(text, Path("pack.yaml"))
    return str(caught.value).splitlines()


def _pack(count: int) -> str:
    return "pack: many\nrules:\n" + "".join(RULE.format(index, index + 1) for index in range(count))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pack: a\npack: b\nrules: []\n", '2:1: the key "pack" is there twice; first in line 1'),
        ("pack: a\n\trules: []\n", "; indent with spaces, not with tabs"),
        ("pack: a\n\trules: []\n", "2:1: not YAML: "),
        ("pack: &a x\nrules: []\n", "1:7: anchors and aliases are not allowed in a rule file"),
        ("pack: a\nrules: *x\n", "2:8: anchors and aliases are not allowed in a rule file"),
        ("pack: !!python/object:os.system x\n", "1:7: tags are not allowed in a rule file"),
        ("pack: a\nrules: []\n---\npack: b\n", "3:1: a second document is not allowed in a rule file"),
        ("? [a]\n: b\n", "expected a word as a key, got a list or a mapping"),
        ("pack: " + "[" * 5000, "nesting deeper than 20 levels is not allowed"),
        ("pack: " + "{a: " * 5000, "nesting deeper than 20 levels is not allowed"),
        ('pack: "\\uD800"\nrules: []\n', "not YAML"),
        ("\ufeffpack: é\nrules: []\n", "expected `pack` in lower case"),
        ("pack: a\nrules: 3\n", "2:8: expected `rules` to be a list, got the number 3"),
        ("pack: a\nrules: [1, [2], null]\n", "expected a rule, got a list"),
        ("- 1\n", "1:1: expected a pack (`pack:` and `rules:`), got a list"),
        ("\x00", "not YAML"),
        ("%YAML 9.9\n---\na: b\n", "not YAML"),
    ],
)
def test_yaml_that_is_not_taken(text: str, message: str) -> None:
    """Duplicate keys, tabs, anchors, tags, documents, depth and bytes that are no text."""
    assert any(message in error for error in _errors(text)), _errors(text)


def test_duplicate_keys_do_not_hide_other_mistakes() -> None:
    """Reading goes on with the first of them."""
    text = RULE.format(1, 1).replace("    on:", "    severity: info\n    severity: info\n    on:")
    found = _errors("pack: a\nrules:\n" + text.replace("ratio > limit", "ratio > lmit"))
    assert len(found) == 2


def test_unicode_is_text_like_any_other() -> None:
    """In summaries, patterns, lines and names of metrics."""
    text = (
        "pack: a\nrules:\n  - id: a\n    category: custom.ü\n    summary: 'Größe {x} 🔥'\n    on: train.log\n"
        "    match: ['(?P<x>日本+)']\n    where: body != 'ß'\n"
        "    tests: [{name: 日, lines: [日本本, x], expect: [{line: 1}]}]\n"
    )
    rules = load_text(text, Path("pack.yaml"))
    assert run_samples(rules) == []


def test_a_file_of_ten_megabytes_is_read() -> None:
    """Comments, one long text, a list of a million numbers: read, and refused for what it says."""
    assert "expected a pack" in _errors("# nothing\n" * 1_000_000)[0]
    assert any("expected `summary`" in one or "at most 300" in one for one in _errors(
        "pack: a\nrules:\n" + RULE.format(1, 1).replace("{grad_norm:.3g}", "x" * 10_000_000)
    ))  # fmt: skip
    assert "at most 12,000,000 characters" in _errors("#" * 12_000_001)[0]


def test_more_rules_than_anybody_writes_are_refused() -> None:
    """Before they are read."""
    text = "pack: a\nrules:\n" + "  - {}\n" * (MAX_RULES + 1)
    assert _errors(text) == ["pack.yaml:3:3: expected at most 10,000 rules, got 10,001"]


@pytest.mark.slow
def test_ten_thousand_rules_are_loaded() -> None:
    """With samples of 100,000 steps each, which take no memory before they run."""
    rules = load_text(_pack(10_000), Path("pack.yaml"))
    assert len(rules.rules) == 10_000
    assert rules.by_id("rule-9999") is not None


def _calls(count: int) -> int:
    text, made = _pack(count), 0

    def profile(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        load_text(text, Path("pack.yaml"))
    finally:
        sys.setprofile(None)
    return made


def test_loading_is_linear_in_the_number_of_rules() -> None:
    """Twice the rules are at most a little more than twice the calls."""
    once, twice = _calls(100), _calls(200)
    assert twice < 2.1 * once


def _places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from _places(value, (*path, key))


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from([
        "loss > 1", "1x3", "5m", "train.step", "metric", "diagnosis", "run", "rank", "attributes", "-1",
        "peers.max(loss)", "last(train.step.loss)", "0-9", "0-999999", "1x999999", "(?P<a>x)", "joined",
        "{x}", "x" * 400,
    ])
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.sampled_from(
        ["of", "for", "at", "event", "rank", "step", "name", "expect", "loss", "save", "kind", "series"]
    ), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def test_the_full_pack_is_right() -> None:
    """What the next test breaks is whole before."""
    load_text(yaml.safe_dump(FULL, sort_keys=False), Path("pack.yaml"))


@settings(max_examples=200)
@given(st.sampled_from(list(_places(FULL))), _VALUES)
def test_any_value_at_any_place_gives_rules_or_errors(path: tuple[Any, ...], value: Any) -> None:
    """No value of YAML anywhere in a pack is a traceback."""
    data = copy.deepcopy(FULL)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    found: tuple[RuleError, ...] = ()
    try:
        load_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), Path("pack.yaml"))
    except RuleErrors as errors:
        found = errors.errors
    assert all(error.line >= 1 and error.column >= 1 and error.message for error in found)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=4))
def test_any_texts_at_any_paths_give_rules_or_errors(texts: dict[str, str]) -> None:
    """Packs that arrive as texts may be called anything."""
    with suppress(RuleErrors):
        load_texts(texts)
