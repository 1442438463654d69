"""Mistakes in rule files: each with its place, all at once."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.rulelang import RuleErrors, load_packs, load_text
from tests.stream.rulelang.packs import GOOD


def _errors(text: str, path: Path = Path("pack.yaml")) -> list[str]:
    with pytest.raises(RuleErrors) as caught:
        load_text(text, path)
    return str(caught.value).splitlines()


def _rule(lines: str) -> str:
    """The good rule with more lines; the first of them is line 8 of the file."""
    return GOOD + dedent(lines)


def test_a_good_rule_loads() -> None:
    """Defaults are those of the language."""
    (rule,) = load_text(GOOD, Path("pack.yaml")).rules
    assert (rule.id, rule.pack, rule.severity, rule.by) == (
        "too-large",
        "numbers",
        "warning",
        ("run", "role", "rank"),
    )
    assert (rule.for_count, rule.for_s, rule.keep_firing_s, rule.mode, rule.then) == (1, 0.0, 0.0, None, ())


def test_three_mistakes_are_three_errors_with_their_places(tmp_path: Path) -> None:
    """A file with three mistakes gives three errors with line and column, and guesses."""
    path = tmp_path / "pack.yaml"
    path.write_text(
        GOOD.replace("loss_spike", "loss_spke").replace("loss > 10", "los > 10").replace("on:", "onn:")
        + "    on: train.step\n"
    )
    with pytest.raises(RuleErrors) as caught:
        load_packs([path])
    assert [(error.line, error.column) for error in caught.value.errors] == [(4, 15), (6, 5), (7, 11)]
    assert str(caught.value).splitlines() == [
        f'{path}:4:15: rule "too-large": expected a known category or custom.*, got "loss_spke"; '
        'did you mean "loss_spike"?',
        f'{path}:6:5: rule "too-large": a rule has no `onn`; did you mean "on"?',
        f'{path}:7:11: rule "too-large": train.step has no \'los\'; did you mean "loss"?',
    ]


@pytest.mark.parametrize(
    ("lines", "place", "message"),
    [
        ("    frequency: 3\n", "8:5", "a rule has no `frequency`"),
        ("    same: [node]\n", "8:5", "`same` says which causes count: it needs `inhibited_by`"),
        ("    same: [nod]\n", "8:12", 'expected `same` to hold node, rank, role, run, got "nod"'),
        ("    learn: calmly\n", "8:12", 'did you mean "calm"?'),
        ("    for: 0\n", "8:10", "expected `for` to be from 1 to 10,000 samples, got 0"),
        ("    for: soon\n", "8:10", 'expected `for` to be a number of samples or a duration such as "30s"'),
        ("    keep_firing: 60\n", "8:18", 'expected `keep_firing` to be a duration such as "30s"'),
        (
            "    severity: fatal\n",
            "8:15",
            'expected `severity` to be one of critical, info, warning, got "fatal"',
        ),
        ("    mode: shadows\n", "8:11", 'did you mean "shadow"?'),
        ("    maturity: 3\n", "8:15", "expected `maturity` to be a text, got the number 3"),
        ("    by: [rank]\n", "8:9", "runs are judged apart: `by` needs run"),
        ("    by: [run, rang]\n", "8:15", 'did you mean "rank"?'),
        ("    runbook: ../../etc/passwd\n", "8:14", "expected the name of a page"),
        ("    runbook: nowhere.md\n", "8:14", "expected the page runbooks/nowhere.md beside the pack"),
        (
            "    inhibited_by: [too-lage]\n",
            "8:20",
            'inhibited_by names no rule "too-lage"; did you mean "too-large"?',
        ),
        ("    inhibited_by: [too-large]\n", "8:20", "a rule cannot keep itself quiet"),
        ("    match: [x]\n", "8:5", "`match` belongs to rules on train.log"),
        ("    where: median(loss, last=3) > 1\n", "8:12", "`where` looks at one record"),
        ("    params: {limit: 3}\n", "8:14", "the param `limit` is never used"),
        ("    params: {loss: x}\n", "8:20", "expected the param `loss` to be a number"),
        ("    let: {extra: loss + 1}\n", "8:11", "the let `extra` is never used"),
        ("    let: {loss: 1}\n", "8:11", 'the name "loss" is already a field'),
        ("    let: {max: 1}\n", "8:11", 'the name "max" is taken by the language'),
        ("    let: {a b: 1}\n", "8:11", 'expected a name of letters, digits and "_"'),
        ("    then: save\n", "8:11", "expected `then` to be a list such as `- save: {}`"),
        ("    then: [{sav: {}}]\n", "8:13", 'did you mean "save"?'),
        (
            "    then: [{save: {knid: forensic}}]\n",
            "8:20",
            'save has no argument `knid`; did you mean "kind"?',
        ),
        ("    then: [{save: {kind: other}}]\n", "8:26", "expected `kind` to be regular or forensic"),
        ("    then: [{rollback: {lr_scale: -1}}]\n", "8:34", "expected `lr_scale` to be a number above 0"),
        ("    then: [{set: {scale: 2}}]\n", "8:18", "set needs `parameter` and one of `scale` and `value`"),
        ("    then: [{pause: {if_unresolved: 5}}]\n", "8:36", "expected a duration"),
        ("    then: [{save: 3}]\n", "8:19", "expected the arguments of save as a mapping"),
        ("    tests: [{name: a, series: {loss: 1x}, expect: []}]\n", "8:38", 'expected an item such as "1"'),
        (
            "    tests: [{name: a, series: {lsos: 1}, expect: []}]\n",
            "8:32",
            'the rule reads no series "lsos"',
        ),
        ("    tests: [{name: a, lines: [x], expect: []}]\n", "8:13", "expected the sample to have `series`"),
        ("    tests: [{name: a, series: {loss: 1}}]\n", "8:13", "a sample needs `expect`"),
        (
            "    tests: [{name: a, expect: []}]\n",
            "8:13",
            "a sample needs one of `series`, `lines`, `ranks` and `events`",
        ),
        (
            "    tests: [{name: a, series: {loss: 1}, expect: [{stop: 3}]}]\n",
            "8:51",
            "expected one of {step: N}",
        ),
        (
            "    tests: [{name: a, series: {loss: 1}, expect: [{step: -3}]}]\n",
            "8:58",
            "expected `step` to be a whole number",
        ),
        ("    on: train.eval\n", "8:5", 'the key "on" is there twice; first in line 6'),
        ("    absent: {of: train.heartbeat, for: 2m}\n", "7:5", "`when` has no meaning beside `absent`"),
        ("    then: [{save: &a {}}]\n", "8:19", "anchors and aliases are not allowed"),
        ("    then: !!seq []\n", "8:11", "tags are not allowed"),
        ("\tthen: []\n", "8:1", "not YAML"),
        ("  - 3\n", "8:5", "expected a rule, got the number 3"),
    ],
)
def test_every_mistake_names_place_and_cure(lines: str, place: str, message: str) -> None:
    """One more line, one mistake, at the right place."""
    errors = _errors(GOOD + lines)
    assert any(error.startswith(f"pack.yaml:{place}: ") and message in error for error in errors), errors


@pytest.mark.parametrize(
    ("before", "after", "place", "message"),
    [
        ("pack: numbers", "pack: My Pack", "1:7", "expected `pack` in lower case with dashes"),
        ("pack: numbers\n", "", "1:1", "a pack needs `pack`"),
        ("too-large", "Too Large", "3:9", "expected `id` in lower case with dashes"),
        ("    category: loss_spike\n", "", "3:5", "a rule needs `category`"),
        ("    when: loss > 10\n", "", "3:5", "a rule needs `when`"),
        ("    on: train.step\n", "", "3:5", "a rule needs `on`"),
        ("train.step", "train.stop", "6:9", 'did you mean "train.step"?'),
        ("train.step", "metrics", "6:9", 'did you mean "metric"?'),
        ("{loss:.3g}", "{loss:.999g}", "5:26", 'expected a format such as ".3g"'),
        (
            "{loss:.3g}",
            "{loss.__class__}",
            "5:20",
            "the summary shows {loss.__class__}, which the rule does not name",
        ),
        ("{loss:.3g}", "{0}", "5:20", "expected the name of a value in braces"),
        ("{loss:.3g}", "{loss", "5:20", "expected each { to be closed"),
        ("{loss:.3g}", "{lss}", "5:20", 'did you mean "loss"?'),
        ("when: loss > 10", "when: [1]", "7:11", "expected an expression, got a list"),
        ("when: loss > 10", "when:", "7:10", "expected an expression, got nothing"),
        ("when: loss > 10", "when: loss", "7:11", "expected a truth value, got a number"),
        ("when: loss > 10", 'when: "loss > loos"', "7:19", "train.step has no 'loos'"),
        ("when: loss > 10", "when: |\n      loss > 1 and\n      loos < 1", "9:7", "train.step has no 'loos'"),
    ],
)
def test_a_changed_line_is_found(before: str, after: str, place: str, message: str) -> None:
    """What is missing or misspelt in the rule itself."""
    errors = _errors(GOOD.replace(before, after))
    assert any(error.startswith(f"pack.yaml:{place}: ") and message in error for error in errors), errors


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("match: ['a(b']", "not a regular expression that RE2 knows: missing )"),
        ("match: ['\\pL{0,100}']", "expected a pattern of at most 4,000 states"),
        ("match: ['(?=a)']", "not a regular expression that RE2 knows"),
        ("match: ['(?P<step>a)']", 'the name of the group "step" is taken'),
        ("unless: [a]", "`unless` needs `match` beside it"),
        ("match: []", "expected `match` to hold at least one item"),
    ],
)
def test_log_rules_are_checked(lines: str, message: str) -> None:
    """Patterns must be RE2's, and what log rules cannot do is refused."""
    body = lines.strip("{}").replace("], ", "]\n    ")
    text = GOOD.replace("train.step", "train.log").replace("{loss:.3g}", "").replace("when: loss > 10", body)
    assert any(message in error for error in _errors(text))


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ("{of: train.stop, for: 2m}", 'got "train.stop"; did you mean "train.step"?'),
        ("{of: train.step, for: 2m, after: x}", "expected `after` to be one of checkpoint.load"),
        (
            "{of: train.step, for: 2m, times: 0.5}",
            "expected `times` to be a number from 1 to 1000, got the number 0.5",
        ),
        ("{of: train.step, for: 2m, phases: [trian]}", 'no phase is "trian"; did you mean "train"?'),
        ("{of: train.heartbeat}", "absent needs `for`"),
        ("{of: train.heartbeat, for: 0s}", "expected `for` to be longer than 0s"),
        ("{of: train.heartbeat, for: 2m, from: x}", "absent has no `from`"),
        ("2m", "expected `absent` to be a mapping"),
    ],
)
def test_absence_is_checked(absent: str, message: str) -> None:
    """What an absence rule may say."""
    text = GOOD.replace("on: train.step", f"absent: {absent}").replace("    when: loss > 10\n", "")
    assert any(message in error for error in _errors(text.replace("{loss:.3g}", "")))


def test_ids_are_unique_over_all_files(tmp_path: Path) -> None:
    """The second rule of the same id is the mistake, and the first is named."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(RuleErrors) as caught:
        load_packs([tmp_path])
    (error,) = caught.value.errors
    assert (error.file, error.line) == (str(tmp_path / "b.yaml"), 3)
    assert error.message.endswith(f'the id "too-large" is there twice; first in {tmp_path / "a.yaml"}:3')


def test_mistakes_of_all_files_come_together(tmp_path: Path) -> None:
    """One load tells everything, in the order of the files."""
    (tmp_path / "a.yaml").write_text(GOOD.replace("loss > 10", "loss >"))
    (tmp_path / "b.yaml").write_bytes(b"pack: x\n\xff\n")
    (tmp_path / "c.yaml").write_text("")
    with pytest.raises(RuleErrors) as caught:
        load_packs([tmp_path, tmp_path / "nowhere.yaml"])
    messages = [
        f"{Path(error.file).name}:{error.line}:{error.column}: {error.message}"
        for error in caught.value.errors
    ]
    assert messages[0].startswith('a.yaml:7:17: rule "too-large": not an expression')
    assert messages[1:] == [
        "b.yaml:2:1: expected UTF-8 text",
        "c.yaml:1:1: expected a pack (`pack:` and `rules:`), got nothing",
        "nowhere.yaml:1:1: expected a readable pack: No such file or directory",
    ]


def test_a_folder_without_packs_is_a_mistake(tmp_path: Path) -> None:
    """An empty folder is more likely a wrong path than a wish for no rules."""
    with pytest.raises(RuleErrors, match=r"expected a folder with \.yaml packs, found none in it"):
        load_packs([tmp_path])


def test_circles_of_causes_are_refused() -> None:
    """Two rules cannot inhibit each other."""
    second = GOOD[GOOD.index("  - id") :].replace("too-large", "other") + "    inhibited_by: [too-large]\n"
    errors = _errors(GOOD + "    inhibited_by: [other]\n" + second)
    assert len([error for error in errors if "goes round in a circle" in error]) == 2


def test_deep_and_huge_files_are_refused_quickly() -> None:
    """Size and depth have limits."""
    assert "nesting deeper than 20 levels" in _errors("pack: " + "[" * 5000)[0]
    assert "expected a file of at most 12,000,000 characters" in _errors("#" * 12_000_001)[0]


def test_the_version_is_the_content() -> None:
    """Samples and comments do not change a rule's version; a limit does."""
    version = load_text(GOOD, Path("a.yaml")).rules[0].version
    sample = "    tests: [{name: a, series: {loss: 1}, expect: []}]\n"
    assert load_text("# words\n" + GOOD + sample, Path("b.yaml")).rules[0].version == version
    assert load_text(GOOD.replace("10", "11"), Path("a.yaml")).rules[0].version != version
    assert re.fullmatch("[0-9a-f]{16}", version)


def test_causes_come_before_symptoms() -> None:
    """The rule set is in the order in which rules look at an event."""
    second = GOOD[GOOD.index("  - id") :].replace("too-large", "cause")
    rules = load_text(GOOD + "    inhibited_by: [cause]\n" + second, Path("a.yaml"))
    assert [rule.id for rule in rules.rules] == ["cause", "too-large"]
    assert rules.by_id("cause") is rules.rules[0]
    assert rules.by_id("nothing") is None


_WORDS = st.sampled_from(
    [
        *GOOD.split("\n"),
        "    ",
        "  - ",
        ":",
        "{",
        "}",
        "[",
        "]",
        "&a",
        "*a",
        "|",
        "'",
        '"',
        "\t",
        "when",
        "\x00",
        "é",
    ]
)


@given(st.lists(_WORDS, max_size=30).map("\n".join) | st.text(max_size=200))
def test_any_text_gives_rules_or_errors(text: str) -> None:
    """Whatever the file holds, there is no traceback."""
    found = None
    try:
        load_text(text, Path("pack.yaml"))
    except RuleErrors as errors:
        found = errors.errors
    assert found is None or found
