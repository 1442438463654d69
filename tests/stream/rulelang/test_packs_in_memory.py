"""Packs as texts, packs of several files, and params set from outside."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from stream import resources
from stream.diagnose.samples import run_samples
from stream.rulelang import RuleErrors, RuleSet, load_packs, load_texts, read_texts

LARGE = """\
id: {name}
category: loss_spike
summary: "Loss {{loss:.3g}}, limit {{limit}}"
on: train.step
params: {{limit: 10}}
when: loss > limit
"""
PAGE = "# large\n\n## What to do\n- Look.\n- Mend.\n"


def _pack(*names: str, pack: str = "test", more: str = "") -> str:
    items = [indent(LARGE.format(name=name) + more, "    ").replace("    id", "  - id", 1) for name in names]
    return f"pack: {pack}\nrules:\n" + "".join(items)


def _errors(texts: dict[str, str], params: dict[str, float] | None = None) -> list[str]:
    with pytest.raises(RuleErrors) as caught:
        load_texts(texts, params)
    return str(caught.value).splitlines()


def _made(rules: RuleSet, run: str = "r", loss: float = 12.0) -> list[str]:
    from stream.diagnose.engine import Engine
    from stream.events import VERSION, Batch, Event, Resource, Source

    resource = Resource("id-1", run_name=run, rank=0, emitter="e")
    batch = Batch(
        VERSION,
        "id-1",
        Source("t", 0, 0, 0),
        [resource],
        [Event("train.step", 0, step=0, values={"loss": loss})],
    )
    return [one.summary for one in Engine(rules).process(batch)]


def test_texts_make_the_rules_that_files_make(tmp_path: Path) -> None:
    """Nothing but the texts is read, pages too."""
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "large.md").write_text(PAGE)
    (tmp_path / "a.yaml").write_text(_pack("large", more="runbook: large.md\n"))
    texts = read_texts([tmp_path], [])
    assert sorted(Path(path).name for path in texts) == ["a.yaml", "large.md"]
    (tmp_path / "a.yaml").unlink()
    (tmp_path / "runbooks" / "large.md").unlink()
    (rule,) = load_texts(texts).rules
    assert rule.suggestions == ("Look.", "Mend.")


def test_a_page_that_did_not_travel_is_a_mistake() -> None:
    """A page is looked for among the texts alone."""
    assert _errors({"p/a.yaml": _pack("large", more="runbook: large.md\n")}) == [
        'p/a.yaml:9:14: rule "large": expected the page runbooks/large.md beside the pack'
    ]
    rules = load_texts({"p/a.yaml": _pack("large", more="runbook: large.md\n"), "p/runbooks/large.md": PAGE})
    assert rules.rules[0].runbook == "large.md"


def test_files_of_one_name_are_one_pack() -> None:
    """In the order of the files; ids are unique over all."""
    rules = load_texts({"a.yaml": _pack("one"), "b.yaml": _pack("two"), "c.yaml": _pack("x", pack="other")})
    assert [(pack.name, pack.files, [rule.id for rule in pack.rules]) for pack in rules.packs] == [
        ("test", ("a.yaml", "b.yaml"), ["one", "two"]),
        ("other", ("c.yaml",), ["x"]),
    ]
    assert _errors({"a.yaml": _pack("one"), "b.yaml": _pack("one")}) == [
        'b.yaml:3:5: rule "one": the id "one" is there twice; first in a.yaml:3'
    ]


def test_the_digest_is_the_content() -> None:
    """Paths and the order of files do not matter; comments, pages and params do."""
    texts = {"a.yaml": _pack("one", more="runbook: p.md\n"), "b.yaml": _pack("two"), "runbooks/p.md": PAGE}
    digest = load_texts(texts).digest
    moved = {f"x/{path}": text for path, text in reversed(list(texts.items()))}
    assert load_texts(moved).digest == digest
    changed = [
        {**texts, "b.yaml": texts["b.yaml"] + "# words\n"},
        {**texts, "runbooks/p.md": PAGE + "- More.\n"},
        {**texts, "c.yaml": _pack("three", pack="other")},
    ]
    digests = {
        digest,
        *(load_texts(one).digest for one in changed),
        load_texts(texts, {"one.limit": 3}).digest,
    }
    assert len(digests) == 5
    assert {pack.digest for pack in load_texts(texts).packs} < {
        pack.digest for pack in load_texts(changed[2]).packs
    }


def test_a_param_is_set_from_outside() -> None:
    """By a caller; the rule's version changes with it."""
    texts = {"a.yaml": _pack("large")}
    assert _made(load_texts(texts)) == ["Loss 12, limit 10.0"]
    rules = load_texts(texts, {"large.limit": 13})
    assert _made(rules) == []
    assert rules.rules[0].params == {"limit": 13.0}
    assert rules.rules[0].version != load_texts(texts).rules[0].version


def test_a_param_is_set_for_some_runs() -> None:
    """The first pattern that fits the run's name or id wins over the value for all."""
    rules = load_texts(
        {"a.yaml": _pack("large")}, {"large.limit": 20, "large.limit@rl-*": 11, "large.limit@id-1": 12.5}
    )
    assert _made(rules, "rl-7") == ["Loss 12, limit 11.0"]
    assert _made(rules, "other") == []
    assert _made(rules, "other", 13.0) == ["Loss 13, limit 12.5"]


def test_the_environment_sets_params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRAINWARDEN_RULE_PARAMS; a caller wins over it."""
    path = tmp_path / "a.yaml"
    path.write_text(_pack("large"))
    monkeypatch.setenv("TRAINWARDEN_RULE_PARAMS", "large.limit=3, large.limit@x*=4.5,")
    assert load_packs([path]).rules[0].params == {"limit": 3.0}
    assert load_packs([path], {"large.limit": 5}).rules[0].params == {"limit": 5.0}
    monkeypatch.setenv("TRAINWARDEN_RULE_PARAMS", "large.limit=many,large,large.limit@=3")
    with pytest.raises(RuleErrors) as caught:
        load_packs([path])
    form = 'expected rule.param=number, or rule.param@PATTERN=number for runs whose name fits, such as "rl-*"'
    assert str(caught.value).splitlines() == [
        f'TRAINWARDEN_RULE_PARAMS:1:1: {form}, got "large"',
        f'TRAINWARDEN_RULE_PARAMS:1:1: {form}, got "large.limit=many"',
        f'TRAINWARDEN_RULE_PARAMS:1:1: {form}, got "large.limit@"',
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lage.limit", 3, 'there is no rule "lage" to set limit of; did you mean "large"?'),
        ("large.limt", 3, 'the rule "large" has no param `limt`; did you mean "limit"?'),
        ("large.x", 3, 'the rule "large" has no param `x`; it has limit'),
        ("large.limit", float("nan"), "expected a number for large.limit, got nan"),
        ("limit", 3, "expected rule.param=number, or rule.param@PATTERN=number"),
    ],
)
def test_a_setting_that_fits_nothing_is_an_error(name: str, value: float, message: str) -> None:
    """With a guess."""
    (error,) = _errors({"a.yaml": _pack("large")}, {name: value})
    assert error.startswith("params:1:1: ")
    assert message in error


def test_a_limit_out_of_reach_may_be_set_from_outside() -> None:
    """What would be a mistake in the file is a way to silence a rule."""
    text = (
        "pack: a\nrules:\n  - id: hot\n    category: gpu_throttle\n    summary: x\n    on: train.resource\n"
    )
    text += "    params: {{limit: {}}}\n    when: hw.gpu.utilization > limit\n"
    assert "never true" in _errors({"a.yaml": text.format(2)})[0]
    assert load_texts({"a.yaml": text.format(0.9)}, {"hot.limit": 2}).rules


def test_the_shipped_packs_are_one_set_of_texts() -> None:
    """What `read_texts` gives of them makes the same rules."""
    folder = resources.path("rules")
    rules = load_texts(read_texts([folder], []))
    assert rules.digest == load_packs([folder]).digest
    assert run_samples(rules.only(frozenset({"loss-not-finite"}))) == []
