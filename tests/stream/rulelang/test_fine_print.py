"""The fine print of the language (docs/rules.md, "What exactly happens"): each sentence with samples."""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import indent

import pytest

from stream.diagnose.samples import run_sample, run_samples
from stream.offline.textnumbers import LineNumbers
from stream.rulelang import RuleErrors, RuleSet, load_text, series

LARGE = "when: loss > 10\n"


def _rules(*rules: str) -> RuleSet:
    items = []
    for index, rule in enumerate(rules):
        head = "" if "id:" in rule else f"id: rule-{index}\n"
        head += "" if "category:" in rule else "category: custom.x\n"
        head += "" if "summary:" in rule else "summary: x\n"
        head += "" if "on:" in rule or "absent:" in rule else "on: train.step\n"
        items.append("  - " + indent(head + rule, "    ").lstrip())
    return load_text("pack: print\nrules:\n" + "".join(items), Path("print.yaml"))


def _hold(rule: str, *samples: str, others: tuple[str, ...] = ()) -> None:
    """The samples do as they say."""
    tests = "tests:\n" + "".join(f"  - {{name: s{index}, {text}}}\n" for index, text in enumerate(samples))
    assert [str(one) for one in run_samples(_rules(rule + tests, *others))] == []


def test_a_record_that_lacks_a_field_of_when_is_no_sample() -> None:
    """It neither counts towards nor breaks `for`, nor does it resolve."""
    _hold(
        LARGE + "for: 2\n",
        'series: {loss: "1 20 _x3 20 1", grad_norm: "1x9"}, expect: [{step: 5}], resolved: [{step: 6}]',
        'series: {loss: "20x1 _x5", grad_norm: "1x9"}, expect: [{step: 1}], resolved: []',
    )


def test_a_record_that_fails_where_is_no_sample() -> None:
    """Neither towards `for`, nor against it, nor for a window."""
    _hold(
        "where: grad_norm < 5\nfor: 2\n" + LARGE,
        'series: {loss: "20 1x1 20", grad_norm: "1 9x1 1"}, expect: [{step: 3}]',
    )
    _hold(
        "where: grad_norm < 5\nwhen: loss > max(loss, last=3)\n",
        'series: {loss: "1 9 3", grad_norm: "1 9 1"}, expect: [{step: 2}]',
    )


def test_for_two_is_two_consecutive_samples_that_match() -> None:
    """A sample that does not match starts over."""
    _hold(LARGE + "for: 2\n", 'series: {loss: "20 1 20 1 20 20"}, expect: [{step: 5}]')


def test_a_new_attempt_starts_for_over() -> None:
    """A match of attempt 0 and one of attempt 1 are not two."""
    _hold(
        LARGE + "for: 2\n",
        "events: [{at: 0s, event: train.step, step: 0, loss: 20},"
        " {at: 1s, event: train.step, attempt: 1, step: 0, loss: 20},"
        " {at: 2s, event: train.step, attempt: 1, step: 1, loss: 20}], expect: [{at: 2s}]",
    )


def test_for_thirty_seconds_holds_when_every_sample_across_at_least_that_matched() -> None:
    """Event time from the first matching sample to this one; another sample in between starts over."""
    _hold(
        LARGE + "for: 30s\n",
        'every: 10s, series: {loss: "1 20x9"}, expect: [{step: 4}]',
        'every: 10s, series: {loss: "1 20x1 1 20x2 1"}, expect: []',
        'every: 25s, series: {loss: "1 20x9"}, expect: [{step: 3}]',
    )


def test_windows_skip_values_that_are_not_finite() -> None:
    """They are neither counted nor averaged."""
    _hold(
        "when: count(loss, last=9) == 2 and mean(loss, last=9) == 2\n",
        'series: {loss: "1 NaN Inf 3 5"}, expect: [{step: 4}]',
    )


def test_windows_exclude_the_present_sample() -> None:
    """The first sample sees an empty window: NaN, count 0."""
    _hold(
        "when: count(loss, last=9) == 0\n",
        'series: {loss: "1x5"}, expect: [{step: 0}], resolved: [{step: 1}]',
    )
    _hold("when: loss > max(loss, last=9)\n", 'series: {loss: "1 2 2 3"}, expect: [{step: 1}, {step: 3}]')
    _hold("when: not isnan(mean(loss, last=9))\n", 'series: {loss: "1x1"}, expect: [{step: 1}]')


def test_every_sample_is_learnt_unless_the_rule_says_calm() -> None:
    """`learn: calm` keeps what matches, and what comes while the rule fires, out of the windows."""
    jump = "when: loss > 3 * median(loss, last=5)\n"
    _hold(jump, 'series: {loss: "1x9 10x9"}, expect: [{step: 10}], resolved: [{step: 13}]')
    _hold(
        "learn: calm\n" + jump, 'series: {loss: "1x9 10x9 1"}, expect: [{step: 10}], resolved: [{step: 20}]'
    )


def test_division_follows_ieee() -> None:
    """x / 0 is an infinity, 0 / 0 no number, and a comparison with that is false."""
    _hold(
        "when: loss / grad_norm > 1e300\n", 'series: {loss: "1 0 1", grad_norm: "1 0 0"}, expect: [{step: 2}]'
    )


def test_the_end_of_an_attempt_resolves_what_is_open_with_reason_ended() -> None:
    """At the first event of the next one."""
    rules = _rules(LARGE)
    from stream.diagnose.engine import Engine
    from stream.events import VERSION, Batch, Event, Resource, Source

    engine, made = Engine(rules), []
    for attempt in (0, 1):
        resource = Resource("run", attempt=attempt, rank=0, emitter=f"e{attempt}")
        event = Event("train.step", attempt * 10**9, seq=0, step=3, values={"loss": 20.0})
        made += engine.process(Batch(VERSION, "run", Source("t", 0, attempt, attempt), [resource], [event]))
    story = [(one.state, one.attempt, one.evidence.get("reason")) for one in made]
    assert story == [("firing", 0, None), ("resolved", 0, "ended"), ("firing", 1, None)]


def test_defaults_are_those_of_the_page() -> None:
    """by, severity, keep_firing, mode, maturity, learn, cooldown, settle."""
    (rule,) = _rules(LARGE).rules
    assert (rule.by, rule.severity, rule.keep_firing_s) == (("run", "role", "rank"), "warning", 0.0)
    assert (rule.mode, rule.maturity, rule.learn_all) == (None, "stable", True)
    assert (rule.cooldown_s, rule.settle_s, rule.for_count, rule.for_s) == (0.0, 0.0, 1, 0.0)


def test_a_category_is_required_and_known_or_custom() -> None:
    """One of the list, or `custom.*`."""
    for category, message in (
        ("spike", 'expected a known category or custom.*, got "spike"'),
        ("", "a text"),
    ):
        with pytest.raises(RuleErrors, match=message.replace("*", r"\*")):
            _rules(f"category: {category}\n" + LARGE)


CAUSE = "id: cause\nwhen: grad_norm > 10\n"


def test_inhibition_is_within_a_run_and_attempt() -> None:
    """A cause on any rank of the run keeps the symptom quiet; it fires when the cause is gone."""
    symptom = LARGE + "inhibited_by: [cause]\n"
    _hold(
        symptom,
        'series: {loss: "1 20x3", grad_norm: "1 20x3"}, expect: []',
        'series: {loss: "1 20x3", grad_norm: "1 20x1 1x1"}, expect: [{step: 3}]',
        'ranks: {0: {loss: "1 20x3", grad_norm: "1x4"}, 1: {loss: "1x4", grad_norm: "1 20x3"}}, expect: []',
        others=(CAUSE,),
    )


def test_same_node_narrows_inhibition() -> None:
    """A cause on another node does not count."""
    ranks = (
        '0: {node: a, loss: "1 20x3", grad_norm: "1x4"}, 1: {node: NODE, loss: "1x4", grad_norm: "1 20x3"}'
    )
    _hold(
        LARGE + "inhibited_by: [cause]\nsame: [node]\n",
        f"ranks: {{{ranks.replace('NODE', 'b')}}}, expect: [{{step: 1, rank: 0}}]",
        f"ranks: {{{ranks.replace('NODE', 'a')}}}, expect: []",
        others=(CAUSE,),
    )


def test_a_log_line_with_training_and_evaluation_is_a_step_and_an_eval() -> None:
    """Both events carry the step."""
    points = LineNumbers().points("step 250: train loss 2.1, val loss 2.2", 1)
    assert [(point.name, point.step) for point in points] == [("train.step", 250), ("train.eval", 250)]


def test_series_notation_is_promtools() -> None:
    """1x100 are 101 samples; steps count from 0."""
    assert tuple(series.parse("1x100")) == (1.0,) * 101
    assert tuple(series.parse("0+0.5x2 _ Inf")) == (0.0, 0.5, 1.0, None, math.inf)
    _hold(LARGE, 'series: {loss: "20"}, expect: [{step: 0}]')


def test_a_summary_names_fields_with_a_bounded_format_and_nothing_else() -> None:
    """No attribute, no index, no call, no width of a thousand."""
    for summary in ("{loss.real}", "{loss[0]}", "{loss:9999}", "{loss!r}", "{max(loss)}"):
        with pytest.raises(RuleErrors):
            _rules(f'summary: "{summary}"\n' + LARGE)


def test_settle_holds_no_diagnosis() -> None:
    """It fires at once; what waits is remediation."""
    _hold(LARGE + "settle: 10s\n", 'series: {loss: "1 20"}, expect: [{step: 1}]')


def test_cooldown_holds_no_diagnosis() -> None:
    """Each firing is one."""
    _hold(
        LARGE + "cooldown: 1h\n", 'series: {loss: "20 1 20 1 20"}, expect: [{step: 0}, {step: 2}, {step: 4}]'
    )


def test_keep_firing_resolves_only_that_long_after_the_last_match() -> None:
    """In event time."""
    _hold(
        LARGE + "keep_firing: 3s\n",
        'series: {loss: "20 1x1 20 1x9"}, expect: [{step: 0}], resolved: [{step: 6}]',
    )


def test_clear_when_decides_alone_when_it_ends() -> None:
    """A threshold of its own."""
    _hold(
        LARGE + "clear_when: loss < 5\n",
        'series: {loss: "1 20 7 8 4 7"}, expect: [{step: 1}], resolved: [{step: 4}]',
    )


def test_a_line_that_does_not_match_is_no_sample() -> None:
    """`for: 3` is three matching lines; `clear_when` is looked at on matching lines."""
    log = "on: train.log\nmatch: 'err (?P<n>[0-9]+)'\n"
    _hold(log + "for: 3\nkeep_firing: 1h\n", "lines: [err 1, x, err 2, y, err 3], expect: [{line: 5}]")
    _hold(
        log + "when: number(n) > 3\nclear_when: number(n) < 2\nkeep_firing: 1h\n",
        "lines: [err 5, x, err 3, err 1], expect: [{line: 1}], resolved: [{line: 4}]",
    )


def test_unless_wins_over_match() -> None:
    """A benign look-alike is no sample."""
    _hold(
        "on: train.log\nmatch: [error]\nunless: [retrying]\n",
        "lines: ['error, retrying', error], expect: [{line: 2}]",
    )


def test_joined_events_of_the_same_time_are_taken_first() -> None:
    """The evaluation of a step sees that step."""
    _hold(
        "on: train.eval\nwith: {train_loss: last(train.step.loss)}\nwhen: eval_loss > train_loss + 1\n",
        'series: {eval_loss: "3x3", train.step.loss: "3 2.5 1 3"}, expect: [{step: 2}]',
        'series: {eval_loss: "3x3"}, expect: []',
    )


def test_peers_are_the_others_at_the_same_step() -> None:
    """One's own value is not among them; alone there is nobody."""
    rule = "when: loss > 2 * peers.median(loss)\n"
    _hold(
        rule,
        'ranks: {0-2: {loss: "1x4"}, 3: {loss: "1 1 9 1 1"}}, expect: [{step: 2, rank: 3}]',
        'ranks: {0: {loss: "1 9"}, 1: {loss: "9 1"}}, expect: [{step: 0, rank: 1}, {step: 1, rank: 0}]',
        'series: {loss: "9x4"}, expect: []',
    )
    _hold("when: peers.count() == 0\n", 'series: {loss: "1"}, expect: [{step: 0}]')


def test_a_series_over_ranks_has_no_rank() -> None:
    """Its samples come step by step, then by rank."""
    _hold(
        "by: [run]\nfor: 3\n" + LARGE,
        'ranks: {0: {loss: "1 20 20"}, 1: {loss: "1 20 20"}}, expect: [{step: 2}]',
    )


def test_rules_of_rules_see_transitions() -> None:
    """With the texts of the diagnosis and the numbers of its evidence."""
    _hold(
        "on: diagnosis\nwhen: rule == 'cause' and state == 'firing' and field('grad_norm') > 10\n",
        'series: {train.step.grad_norm: "1 20 1"}, expect: [{step: 1}]',
        others=(CAUSE,),
    )


def test_a_summary_shows_the_texts_of_a_diagnosis() -> None:
    """Also those that events have under the same name, such as the severity."""
    echo = "id: echo\non: diagnosis\nsummary: '{rule} is {severity}'\nwhen: state == 'firing'\n"
    sample = "tests: [{name: a, series: {train.step.grad_norm: 20}, expect: [{step: 0}]}]\n"
    rules = _rules(CAUSE + "severity: critical\n", echo + sample)
    rule = rules.rules[-1]
    assert [one.summary for one in run_sample(rules, rule, rule.tests[0])] == ["cause is critical"]


def test_nothing_is_absent_before_the_second_of_its_kind() -> None:
    """A first step with its compilation is no gap; a rank that does not live proves nothing."""
    _hold(
        "absent: {of: train.step, for: 60s}\n",
        'every: 10s, series: {train.step: "1 _x30", train.heartbeat: "1x40"}, expect: []',
        'every: 10s, series: {train.step: "1 1 _x30", train.heartbeat: "1x40"}, expect: [{at: 70s}]',
        'every: 10s, series: {train.step: "1 1 _x30", train.heartbeat: "1 1"}, expect: []',
    )


def test_time_in_other_phases_does_not_count() -> None:
    """Another phase starts the clock anew."""
    _hold(
        "absent: {of: train.step, for: 60s, phases: [train]}\n",
        'every: 10s, series: {train.step: "1x5 _x30", '
        "train.heartbeat.phase: [train x5, eval x20, train x2]}, expect: []",
    )


def test_a_limit_follows_the_longest_gap() -> None:
    """times: 3 of 40 s is 120 s."""
    _hold(
        "absent: {of: train.step, for: 60s, times: 3}\n",
        'every: 10s, series: {train.step: "1 _x3 1 1 _x30", train.heartbeat: "1x40"}, expect: [{at: 170s}]',
    )
