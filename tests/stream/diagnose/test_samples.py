"""Running the samples of rules, and batches from plain records."""

from __future__ import annotations

import pytest

from stream.diagnose.batches import batches
from stream.diagnose.engine import Engine
from stream.diagnose.samples import run_samples
from tests.stream.diagnose.stories import LARGE, rule, rules, story


def _failures(*tests: str) -> list[str]:
    return [str(one) for one in run_samples(rules(rule("\n".join([LARGE, "tests:", *tests]))))]


def test_a_sample_that_does_as_it_says_passes() -> None:
    """Firings, and where asked for resolutions, at the right steps."""
    assert (
        _failures("- {name: a, series: {loss: '1x3 20x2 1'}, expect: [{step: 4}], resolved: [{step: 7}]}")
        == []
    )
    assert _failures("- {name: a, series: {loss: '1x3 20x2 1'}, every: 10s, expect: [{at: 40s}]}") == []


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (
            "{name: a, series: {loss: '1x3 20x2 1'}, expect: [{step: 3}]}",
            "expected it to fire at step 3, got step 4; at step 3: no match, loss 1",
        ),
        ("{name: a, series: {loss: 20}, expect: []}", "expected it to fire at no place, got step 0"),
        (
            "{name: a, series: {loss: 2}, expect: [{step: 1}]}",
            "expected it to fire at step 1, got no place; nothing was judged at step 1",
        ),
        (
            "{name: a, series: {loss: '20 1'}, expect: [{step: 0}], resolved: []}",
            "expected it to resolve at no place, got step 1",
        ),
        (
            "{name: a, series: {loss: 20}, every: 10s, expect: [{at: 20s}]}",
            "expected it to fire at 20s, got 0s; nothing was judged at 20s",
        ),
        (
            "{name: a, ranks: {0-1: {loss: 1}, 2: {loss: 20}}, expect: [{step: 0, rank: 1}]}",
            "expected it to fire at step 0 of rank 1, got step 0 of rank 2; "
            "at step 0 of rank 1: no match, loss 1",
        ),
    ],
)
def test_a_sample_that_does_otherwise_is_told(sample: str, message: str) -> None:
    """What was expected and what came, what the rule saw where it should have fired, with the place."""
    assert _failures(f"- {sample}") == [f'test.yaml:9: rule "large", sample "a": {message}']


def test_a_sample_runs_with_the_causes_of_its_rule() -> None:
    """A symptom's sample can show that its cause quietens it."""
    symptom = rule(
        "when: loss > 10\ninhibited_by: [cause]\ntests:\n"
        "- {name: quiet, series: {loss: 20x3, grad_norm: 20x3}, expect: []}", name="symptom",
    )  # fmt: skip
    assert run_samples(rules(symptom, rule("when: grad_norm > 10", name="cause"))) == []


def test_batches_from_records() -> None:
    """Flat records become batches: names are made canonical, ranks become resources."""
    records = [
        {"step": n, "train/loss": 20.0 if n == 3 else 1.0, "rank": rank} for n in range(5) for rank in (0, 1)
    ]
    engine = Engine(rules(rule(LARGE)))
    whole = [one for batch in batches(records, run="r", size=3) for one in engine.process(batch)]
    assert story(whole) == [
        ("large", "firing", 0, 3, None), ("large", "firing", 1, 3, None),
        ("large", "resolved", 0, 4, "cleared"), ("large", "resolved", 1, 4, "cleared"),
    ]  # fmt: skip
    (log,) = batches([{"event": "train.log", "body": "x", "time": 2.5, "severity": 9}], run="r")
    assert (log.events[0].body, log.events[0].time, log.events[0].severity) == ("x", 2_500_000_000, 9)
    assert batches([], run="r") == []
