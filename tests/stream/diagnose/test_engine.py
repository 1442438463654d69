"""The fine print of the rule language, sentence by sentence, on the engine."""

from __future__ import annotations

import math
from typing import Any

import pytest

from stream.events import VERSION, Batch, Event, Resource, Source
from tests.stream.diagnose.stories import LARGE, SECOND, Feed, ended, resource, rule, rules, step, story


def test_a_diagnosis_opens_and_closes() -> None:
    """Firing at the first match, resolved at the first sample that does not match; one id for both."""
    feed = Feed(
        rules(
            rule(
                f"{LARGE}\nthen: [{{save: {{}}}}]",
                summary="Loss {loss:.1f} of {run} at {step}, lr {learning_rate}",
            )
        )
    )
    who = resource(3, node="n1", role="actor")
    opened, closed = feed.send(
        who, *(step(n, loss=loss) for n, loss in enumerate([1.0, 20.0, 30.0, 2.0, 3.0]))
    )
    assert (opened.state, opened.step, opened.rank, opened.node, opened.role) == (
        "firing",
        1,
        3,
        "n1",
        "actor",
    )
    assert opened.summary == closed.summary == "Loss 20.0 of run at 1, lr ?"
    assert opened.time == "1970-01-01T00:00:01.000000Z"
    assert opened.evidence["loss"] == 20.0
    assert opened.evidence["since_step"] == 1
    assert (opened.then, opened.category, opened.severity) == (["save"], "loss_spike", "warning")
    assert (closed.id, closed.state, closed.step) == (opened.id, "resolved", 3)
    assert (closed.evidence["loss"], closed.evidence["since_step"], closed.evidence["reason"]) == (
        2.0,
        1,
        "cleared",
    )


def test_each_firing_is_a_diagnosis_of_its_own() -> None:
    """A second stretch of matches has another id."""
    made = Feed(rules(rule(LARGE))).send(resource(), *(step(n, loss=[1.0, 20.0][n % 2]) for n in range(4)))
    assert [one.state for one in made] == ["firing", "resolved", "firing"]
    assert made[0].id == made[1].id != made[2].id


def test_for_counts_consecutive_samples() -> None:
    """`for: 3` is three in a row; one that does not match starts over."""
    feed = Feed(rules(rule(f"{LARGE}\nfor: 3")))
    losses = [20, 20, 1, 20, 20, 20, 20]
    (opened,) = feed.send(resource(), *(step(n, loss=float(loss)) for n, loss in enumerate(losses)))
    assert (opened.step, opened.evidence["since_step"]) == (5, 3)


def test_a_record_without_the_field_is_no_sample() -> None:
    """It neither counts towards nor breaks `for`, and does not resolve; text and None are no numbers."""
    feed = Feed(rules(rule(f"{LARGE}\nfor: 2")))
    made = feed.send(
        resource(), step(0, loss=20.0), step(1, grad_norm=1.0), step(2, loss="n/a"), step(3, loss=None),
        step(4, loss=20.0),
        step(5, grad_norm=1.0), step(6, loss=1.0),
    )  # fmt: skip
    assert [(one.state, one.step) for one in made] == [("firing", 4), ("resolved", 6)]


def test_a_record_that_fails_where_is_no_sample() -> None:
    """Before `where` holds, records neither fire nor fill windows."""
    body = "where: step > 2\nwhen: loss > 2 * median(loss, last=5)\n"
    feed = Feed(rules(rule(body)))
    losses = [1.0, 1.0, 1.0, 50.0, 50.0, 120.0]
    assert [
        one.step for one in feed.send(resource(), *(step(n, loss=loss) for n, loss in enumerate(losses)))
    ] == [5]


def test_for_a_duration_needs_every_sample_across_it() -> None:
    """`for: 30s` goes by event time; a sample that does not match starts over."""
    feed = Feed(rules(rule(f"{LARGE}\nfor: 30s")))
    times = [(0, 20), (20, 20), (25, 1), (40, 20), (69, 20), (70, 20)]
    made = feed.send(resource(), *(step(n, loss=float(loss), at=at) for n, (at, loss) in enumerate(times)))
    assert [(one.step, one.evidence["since_step"]) for one in made] == [(5, 3)]


def test_keep_firing_bridges_calm_samples() -> None:
    """Calm samples resolve only when the last match is that long ago."""
    feed = Feed(rules(rule(f"{LARGE}\nkeep_firing: 10s")))
    times = [(0, 20), (5, 1), (9, 20), (18, 1), (19, 1)]
    made = feed.send(resource(), *(step(n, loss=float(loss), at=at) for n, (at, loss) in enumerate(times)))
    assert [(one.state, one.step) for one in made] == [("firing", 0), ("resolved", 4)]


def test_clear_when_has_a_threshold_of_its_own() -> None:
    """Between the two thresholds the diagnosis stays as it is."""
    feed = Feed(rules(rule(f"{LARGE}\nclear_when: loss < 5")))
    made = feed.send(
        resource(), *(step(n, loss=loss) for n, loss in enumerate([7.0, 20.0, 7.0, 11.0, 6.0, 4.0, 7.0]))
    )
    assert [(one.state, one.step) for one in made] == [("firing", 1), ("resolved", 5)]


def test_the_baseline_freezes_while_samples_match() -> None:
    """With `learn: calm` bad values, and lone outliers, never enter the window, however long it lasts."""
    body = "let: {typical: 'median(loss, last=5)'}\nwhen: loss > 3 * typical\nfor: 2\nlearn: calm"
    feed = Feed(rules(rule(body)))
    losses = [1.0] * 5 + [50.0] + [1.0] * 2 + [50.0] * 200 + [1.1]
    opened, closed = feed.send(resource(), *(step(n, loss=loss) for n, loss in enumerate(losses)))
    assert (opened.step, closed.step) == (9, 208)
    assert opened.evidence["typical"] == closed.evidence["typical"] == 1.0


def test_windows_exclude_the_present_sample_and_values_that_are_not_finite() -> None:
    """The first sample has no past; NaN and infinities are skipped."""
    feed = Feed(rules(rule("when: loss < 1000 and count(loss, last=10) >= 3 and sum(loss, last=10) == 6")))
    losses = [1.0, math.nan, 2.0, math.inf, 3.0, 4.0]
    assert [
        one.step for one in feed.send(resource(), *(step(n, loss=loss) for n, loss in enumerate(losses)))
    ] == [5]


def test_an_optional_field_is_nan_where_it_is_missing() -> None:
    """A field tested with has() makes a record no less of a sample."""
    feed = Feed(rules(rule("when: loss > 10 and (not has(grad_norm) or grad_norm > 5)")))
    values: list[dict[str, Any]] = [
        {"loss": 20.0},
        {"loss": 20.0, "grad_norm": 1.0},
        {"loss": 20.0, "grad_norm": 9.0},
    ]
    made = feed.send(resource(), *(step(n, **value) for n, value in enumerate(values)))
    assert [(one.state, one.step) for one in made] == [("firing", 0), ("resolved", 1), ("firing", 2)]


def test_a_logged_name_is_reached_by_field() -> None:
    """Names outside the vocabulary, and aliases, work through field()."""
    feed = Feed(rules(rule("when: field('my/metric') > 1 and field('train/loss') > 1")))
    made = feed.send(resource(), Event("train.step", 0, step=0, values={"my/metric": 2, "loss": 2.0}))
    assert len(made) == 1


def test_integers_beyond_floats_become_infinities() -> None:
    """A huge int is a number like any other."""
    assert len(Feed(rules(rule("when: not isfinite(loss)"))).send(resource(), step(0, loss=10**400))) == 1


def test_a_cause_keeps_its_symptom_quiet() -> None:
    """While the cause fires in the same attempt the symptom waits; then it fires, with its own beginning."""
    ruleset = rules(
        rule("when: loss > 10\ninhibited_by: [cause]", name="symptom"),
        rule("when: grad_norm > 10", name="cause"),
    )
    values = [(20.0, 20.0), (20.0, 20.0), (20.0, 1.0), (20.0, 1.0), (1.0, 1.0)]
    made = Feed(ruleset).send(
        resource(), *(step(n, loss=loss, grad_norm=grad) for n, (loss, grad) in enumerate(values))
    )
    assert story(made) == [
        ("cause", "firing", 0, 0, None), ("cause", "resolved", 0, 2, "cleared"),
        ("symptom", "firing", 0, 2, None), ("symptom", "resolved", 0, 4, "cleared"),
    ]  # fmt: skip
    assert made[2].evidence["since_step"] == 0


def test_a_cause_on_one_rank_quietens_all_ranks_of_the_run_but_no_other_run() -> None:
    """Inhibition is within run and attempt."""
    ruleset = rules(
        rule("when: loss > 10\ninhibited_by: [cause]", name="symptom"),
        rule("when: grad_norm > 10", name="cause"),
    )
    feed = Feed(ruleset)
    assert len(feed.send(resource(0), step(0, grad_norm=20.0))) == 1
    assert feed.send(resource(1), step(0, loss=20.0)) == []
    assert len(feed.send(resource(1, run="other"), step(0, loss=20.0))) == 1


def test_ranks_are_series_of_their_own() -> None:
    """Each rank has its windows and its diagnosis; node may be part of the key."""
    feed = Feed(rules(rule(f"{LARGE}\nby: [run, rank, node]")))
    made = [
        one for rank in range(3) for one in feed.send(resource(rank, node=f"n{rank}"), step(0, loss=20.0))
    ]
    assert [one.rank for one in made] == [0, 1, 2]
    assert len({one.id for one in made}) == 3


def test_the_end_of_a_process_resolves_what_is_open_for_it() -> None:
    """Reason `ended`; nothing it sends afterwards counts, other ranks go on."""
    feed = Feed(rules(rule(LARGE)))
    assert len(feed.send(resource(0), step(0, loss=20.0))) == 1
    assert len(feed.send(resource(1), step(0, loss=20.0))) == 1
    assert story(feed.send(resource(0), ended(5.0), step(6, loss=20.0))) == [
        ("large", "resolved", 0, 0, "ended")
    ]
    assert feed.send(resource(0), step(7, loss=20.0)) == []
    assert feed.engine.counts.after_end == 2
    assert story(feed.send(resource(1), step(1, loss=1.0))) == [("large", "resolved", 1, 1, "cleared")]


def test_a_source_without_id_may_start_again() -> None:
    """After `finished`, `started` opens the same anonymous source anew."""
    feed = Feed(rules(rule(LARGE)))
    who = Resource(run="run", rank=0)
    begun = Event("train.lifecycle", 0, values={"lifecycle.state": "started"})
    assert feed.send(who, ended(), step(0, loss=20.0)) == []
    assert len(feed.send(who, begun, step(0, loss=20.0))) == 1


def test_attempts_are_fenced() -> None:
    """A new attempt resolves what was open, starts without memory, and the old one is heard no more."""
    feed = Feed(rules(rule("when: loss > 3 * median(loss, last=5)\nfor: 2")))
    old, new = resource(attempt=0), resource(attempt=1)
    assert (
        len(feed.send(old, *(step(n, loss=1.0) for n in range(5)), step(5, loss=9.0), step(6, loss=9.0))) == 1
    )
    assert story(feed.send(new, step(0, loss=9.0))) == [("large", "resolved", 0, 6, "ended")]
    assert feed.send(old, *(step(n, loss=99.0) for n in range(7, 9))) == []
    assert feed.engine.counts.old_attempts == 2
    assert feed.send(new, *(step(n, loss=9.0) for n in range(1, 5))) == []


def test_a_pending_stretch_does_not_cross_attempts() -> None:
    """One match before and one after a restart are not two in a row."""
    feed = Feed(rules(rule(f"{LARGE}\nfor: 2")))
    assert feed.send(resource(attempt=0), step(0, loss=20.0)) == []
    assert feed.send(resource(attempt=1), step(1, loss=20.0)) == []


def test_attempts_in_one_batch_are_fenced_too() -> None:
    """The fence is between events, not between batches."""
    who = [resource(attempt=0), resource(attempt=1)]
    found = [
        Event("train.step", 0, 0, step=0, values={"loss": 20.0}),
        Event("train.step", 1, 1, step=1, values={"loss": 1.0}),
        Event("train.step", 2, 0, step=2, values={"loss": 20.0}),
    ]  # fmt: skip
    feed = Feed(rules(rule(LARGE)))
    made = feed.engine.process(Batch(VERSION, "run", Source("otlp_logs", 0, 0, 0), who, found))
    assert story(made) == [("large", "firing", 0, 0, None), ("large", "resolved", 0, 0, "ended")]


def test_a_record_is_judged_once() -> None:
    """A batch whose source was seen is dropped; the same offsets of another run or partition are not."""
    feed = Feed(rules(rule(LARGE)))

    def batch(run: str, partition: int) -> Batch:
        found = [step(0, loss=20.0), step(1, loss=1.0)]
        return Batch(
            VERSION, run, Source("otlp_logs", partition, 4, 4), [resource(partition, run=run)], found
        )

    made = [
        len(feed.engine.process(batch(*where)))
        for where in [("a", 0), ("a", 0), ("b", 0), ("a", 1), ("a", 1)]
    ]
    assert made == [2, 0, 2, 2, 0]
    assert feed.engine.counts.repeated_batches == 2


def test_sources_without_a_run_are_counted() -> None:
    """No run, no diagnosis."""
    feed = Feed(rules(rule(LARGE)))
    assert feed.send(resource(run=""), step(0, loss=20.0)) == []
    assert feed.engine.counts.without_run == 1


def test_idle_runs_are_forgotten() -> None:
    """By the ticks' clock; what was open resolves with reason `expired`, memory is freed."""
    feed = Feed(rules(rule(LARGE)), idle_s=100.0)
    feed.tick(0)
    feed.send(resource(), step(0, loss=20.0))
    assert feed.tick(99) == []
    assert story(feed.tick(200)) == [("large", "resolved", 0, 0, "expired")]
    assert feed.engine.runs == {}
    assert feed.engine.counts.runs_expired == 1


def test_series_and_emitters_of_a_run_are_bounded() -> None:
    """Over the limit new ranks are not judged, and that is counted."""
    feed = Feed(rules(rule(LARGE)), max_series=2)
    made = [len(feed.send(resource(rank), step(0, loss=20.0))) for rank in range(4)]
    assert made == [1, 1, 0, 0]
    assert feed.engine.counts.emitters_refused == 2


def test_experimental_rules_sleep() -> None:
    """They run only where that is asked for."""
    ruleset = rules(rule(f"{LARGE}\nmaturity: experimental"))
    assert Feed(ruleset).send(resource(), step(0, loss=20.0)) == []
    assert len(Feed(ruleset, experimental=True).send(resource(), step(0, loss=20.0))) == 1


def test_rules_on_finished_spans_and_lifecycle() -> None:
    """A span is an event with duration and status; an end may be diagnosed before it ends all."""
    ruleset = rules(
        rule("when: status == 'error' or duration > 60", name="save", on="checkpoint.save"),
        rule("when: lifecycle.state == 'failed' and exit.code != 0", name="exit", on="train.lifecycle"),
    )
    feed = Feed(ruleset)
    span = Event("checkpoint.save", 0, values={"duration": 70.0}, end=70 * SECOND, status="ok")
    failed = Event("train.lifecycle", 0, values={"lifecycle.state": "failed", "exit.code": 1})
    assert story(feed.send(resource(), span, failed)) == [
        ("save", "firing", 0, None, None), ("exit", "firing", 0, None, None),
        ("save", "resolved", 0, None, "ended"), ("exit", "resolved", 0, None, "ended"),
    ]  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_evidence_keeps_values_that_are_not_finite(value: float) -> None:
    """They travel as strings in JSON."""
    (made,) = Feed(rules(rule("when: not isfinite(loss)"))).send(resource(), step(0, loss=value))
    assert made.to_json()["evidence"]["loss"] in ("NaN", "Infinity", "-Infinity")
