"""The policy file: what it may say, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from emitter.vocabulary import cloudevents
from stream.remediate import policyfile
from stream.remediate.settings import Breaker, Budget, RunMode, Settings, Silence

WHOLE = """
mode: act
runs:
  - {run: "exp-*", mode: shadow}
budgets:
  - {actions: [restart, rollback], most: 2, within: 30m}
  - {most: 0, within: 1h}
breaker: {runs: 5, within: 2m}
settle: 1m
together: 10m
answer: 20s
sendings: 2
lifetime: 5m
finish: 2h
restart: 3m
escalate: 15m
words: 10m
lookback: 2d
silences:
  - {id: move, author: ann, ends: "2026-12-01T00:00:00Z", run: "exp-*", rule: slow, comment: new rack}
"""


def test_everything_that_can_be_set_is_set() -> None:
    """Durations become seconds."""
    ends = cloudevents.parse_rfc3339("2026-12-01T00:00:00Z")
    assert policyfile.parse(WHOLE, "p.yaml", "approve") == Settings(
        mode="act", runs=(RunMode("exp-*", "shadow"),),
        budgets=(Budget(2, 1800.0, ("restart", "rollback")), Budget(0, 3600.0)),
        breaker=Breaker(5, 120.0), silences=(Silence("move", ends, "ann", "exp-*", "slow", "new rack"),),
        settle_s=60.0, together_s=600.0, answer_s=20.0, sendings=2, lifetime_s=300.0, finish_s=7200.0,
        restart_s=180.0, escalate_s=900.0, words_s=600.0, lookback_s=172_800.0,
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", "# nothing\n", "settle: 30s"])
def test_what_is_not_set_is_safe(text: str) -> None:
    """Approval, three restarts an hour, ten runs in five minutes; the mode is the worker's."""
    found = policyfile.parse(text, "p.yaml", "shadow")
    assert found == Settings(mode="shadow")
    assert (found.budgets[0], found.breaker) == (
        Budget(3, 3600.0, ("restart", "rollback")),
        Breaker(10, 300.0),
    )
    assert Settings().mode == "approve"


MISTAKES = {
    "mode: yolo": 'p.yaml:1:7: expected `mode` to be one of act, approve, shadow, got "yolo"',
    "settel: 3s": 'p.yaml:1:1: the policy has no `settel`; did you mean "settle"?',
    "settle: 3": (
        'p.yaml:1:9: expected `settle` to be a duration such as "30s", "5m" or "1h30m", got the number 3'
    ),
    "settle: 0": "p.yaml:1:9: expected `settle` to be longer than 0, got the number 0",
    "- a": "p.yaml:1:1: expected a mapping such as `mode: approve`, got a list",
    "sendings: many": 'p.yaml:1:11: expected `sendings` to be a whole number from 1 to 1,000,000, got "many"',
    "budgets: {}": "p.yaml:1:10: expected `budgets` to be a list, got a mapping",
    "budgets: [3]": "p.yaml:1:11: expected a budget as a mapping, got the number 3",
    "budgets: [{within: 1h}]": "p.yaml:1:11: a budget needs `most`",
    "budgets: [{most: 1, within: 1h, actions: [reboot]}]": (
        "p.yaml:1:43: expected an action (dump_stacks, exclude_node, notify, pause, profile, restart, "
        'resume, rollback, save, set, stop), got "reboot"'
    ),
    "breaker: {runs: 0}": (
        "p.yaml:1:17: expected `runs` to be a whole number from 1 to 1,000,000, got the number 0"
    ),
    "breaker: {rnus: 1}": 'p.yaml:1:11: the breaker has no `rnus`; did you mean "runs"?',
    "runs: [{run: a}]": "p.yaml:1:8: a mode of runs needs `mode`",
    "silences: [{id: a, author: b}]": "p.yaml:1:12: a silence needs `ends`",
    "silences: [{id: a, author: b, ends: soon}]": (
        'p.yaml:1:37: expected `ends` to be a time such as 2026-01-31T18:00:00Z, got "soon"'
    ),
    "a: [\n": "p.yaml:2:1: not YAML: ",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_has_its_place_and_what_was_expected(text: str) -> None:
    """As mistakes in rules do."""
    with pytest.raises(policyfile.PolicyError) as caught:
        policyfile.parse(text, "p.yaml", "act")
    assert str(caught.value).splitlines()[0].startswith(MISTAKES[text])


def test_all_mistakes_come_at_once() -> None:
    """A line for each."""
    with pytest.raises(policyfile.PolicyError) as caught:
        policyfile.parse("mode: x\nsettle: y\nz: 1\n", "p.yaml", "act")
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        "p.yaml:1:7", "p.yaml:2:9", "p.yaml:3:1",
    ]  # fmt: skip


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the reason."""
    expected = "none.yaml: expected a policy file, got: No such file or directory"
    with pytest.raises(policyfile.PolicyError, match=expected):
        policyfile.load(tmp_path / "none.yaml", "act")
