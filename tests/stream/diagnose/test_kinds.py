"""Rules on every kind of event, over other events, over what an event names, over other rules."""

from __future__ import annotations

import math

from stream.diagnose.engine import Engine
from stream.events import Event
from tests.stream.diagnose.stories import LARGE, SECOND, Feed, ended, line, resource, rule, rules, step, story


def _event(
    name: str, at: int = 0, body: str | None = None, metric: str | None = None, **values: object
) -> Event:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return Event(name, at * SECOND, body=body, metric=metric, values=named)  # type: ignore[arg-type]


def test_rules_on_every_kind_of_event() -> None:
    """Samples of hardware, heartbeats, stacks, started checkpoints and OTLP metrics are judged like steps."""
    ruleset = rules(
        rule("when: hw.gpu.temperature > 90\nby: [run, rank, hw.id]", name="hot", on="train.resource"),
        rule("when: phase == 'eval' and progress_age > 60", name="beat", on="train.heartbeat"),
        rule("when: startswith(body, 'waits')", name="stack", on="train.stack"),
        rule("when: checkpoint.kind == 'forensic'", name="started", on="checkpoint.started"),
        rule("when: metric == 'power' and value > 300 and attribute.gpu == '1'", name="power", on="metric"),
    )
    made = Feed(ruleset).send(
        resource(),
        _event("train.resource", hw__gpu__temperature=95.0, hw__id="GPU-1"),
        _event("train.heartbeat", train__phase="eval", progress__age=61.0),
        _event("train.stack", body="waits in nccl"),
        _event("checkpoint.started", checkpoint__kind="forensic"),
        _event("metric", metric="power", gpu="1", value=400.0),
    )
    assert [one.rule for one in made] == ["hot", "beat", "stack", "started", "power"]


def test_a_series_for_each_text_that_by_names() -> None:
    """Each GPU of a rank has its own windows and its own diagnosis."""
    body = "by: [run, rank, hw.id]\nwhen: hw.gpu.temperature > 1.2 * mean(hw.gpu.temperature, last=9)"
    feed = Feed(rules(rule(body, on="train.resource", summary="{hw.id}")))

    def sample(gpu: str, degrees: float) -> Event:
        return _event("train.resource", hw__gpu__temperature=degrees, hw__id=gpu)

    calm = [sample(gpu, 40.0 if gpu == "a" else 80.0) for gpu in "abab"]
    made = feed.send(resource(), *calm, sample("a", 60.0), sample("b", 82.0), sample("b", 99.0))
    assert [one.summary for one in made] == ["a", "b"]
    assert made[0].id != made[1].id


def test_points_of_a_metric_are_told_apart_by_all_their_attributes() -> None:
    """The default `by` of rules on metric; the name of the metric is part of it."""
    feed = Feed(rules(rule("when: value > 1.5 * last(value, last=1)", on="metric")))
    first = [_event("metric", metric=name, gpu=gpu, value=10.0) for name in ("power", "heat") for gpu in "01"]
    assert feed.send(resource(), *first) == []
    other = _event("metric", metric="power", gpu="0", host="b", value=99.0)
    assert feed.send(resource(), other) == []
    assert len(feed.send(resource(), _event("metric", metric="power", gpu="0", value=16.0))) == 1


def test_a_window_over_another_event() -> None:
    """`with` joins what other events of the same rank said; nothing yet is NaN, other ranks do not count."""
    joined = "with: {seen: last(train.step.loss), most: 'max(train.step.loss, last=2)'}"
    body = f"{joined}\nwhen: eval_loss > 2 * seen"
    feed = Feed(rules(rule(body, on="train.eval", summary="{seen:.0f} {most:.0f}")))
    judged = _event("train.eval", eval_loss=5.0)
    assert feed.send(resource(0), judged) == []
    assert feed.send(resource(1), step(0, loss=1.0)) == []
    assert feed.send(resource(0), judged) == []
    (made,) = feed.send(resource(0), *(step(n, loss=loss) for n, loss in enumerate([9.0, 4.0, 2.0])), judged)
    assert (made.summary, made.evidence["seen"], made.evidence["most"]) == ("2 4", 2.0, 4.0)


def test_another_event_feeds_every_series_of_its_rank() -> None:
    """Keys that the other event cannot have are left out: all GPUs of a rank look at its steps."""
    joined = "by: [run, rank, hw.id]\nwith: {slow: last(train.step.step_time)}"
    feed = Feed(rules(rule(f"{joined}\nwhen: hw.gpu.utilization < 0.1 and slow > 1", on="train.resource")))
    feed.send(resource(), step(0, step_time=2.0))
    samples = [_event("train.resource", hw__id=gpu, hw__gpu__utilization=0.0) for gpu in "ab"]
    assert len(feed.send(resource(), *samples)) == 2


def test_a_window_over_a_window() -> None:
    """The inner one is asked before the present sample enters it; then both learn."""
    body = "let: {now: 'mean(loss, last=2)'}\nwhen: loss < 99 and now > 2 * min(now, last=10)"
    feed = Feed(rules(rule(body)))
    losses = [1.0, 1.0, 1.0, 9.0, 9.0]
    (made,) = feed.send(resource(), *(step(n, loss=loss) for n, loss in enumerate(losses)))
    assert (made.step, made.evidence["now"]) == (4, 5.0)


def test_records_of_changes_and_maxima_learn_from_every_sample() -> None:
    """By default matching samples enter the windows too: each new best is one."""
    feed = Feed(rules(rule("when: reward_mean > max(reward_mean, last=100)")))
    rewards = [1.0, 2.0, 1.5, 1.9, 2.1]
    made = feed.send(resource(), *(step(n, reward_mean=reward) for n, reward in enumerate(rewards)))
    assert [(one.state, one.step) for one in made] == [("firing", 1), ("resolved", 2), ("firing", 4)]


def test_log_rules_count_matching_lines() -> None:
    """`for: 3` is three matching lines for which `when` holds; other lines are no samples."""
    body = "match: ['retry (?P<n>[0-9]+)']\nwhen: number(n) > 1\nfor: 3\nkeep_firing: 60s"
    feed = Feed(rules(rule(body, on="train.log")))
    texts = ["retry 5", "fine", "retry 0", "retry 2", "other", "retry 3", "retry 4"]
    made = feed.send(resource(), *(line(text, at) for at, text in enumerate(texts)))
    assert [(one.state, one.time[17:19]) for one in made] == [("firing", "06")]


def test_log_rules_look_at_the_past_of_matching_lines() -> None:
    """Windows of a log rule hold what its matching lines said before."""
    let = "match: ['took (?P<s>[0-9]+) s']\nlet: {usual: 'median(number(s), last=5)'}\nkeep_firing: 9s"
    feed = Feed(rules(rule(f"{let}\nwhen: number(s) > 3 * usual", on="train.log", summary="{usual}")))
    texts = ["took 10 s", "took 11 s", "loss 1000", "took 50 s"]
    (made,) = feed.send(resource(), *(line(text, at) for at, text in enumerate(texts)))
    assert made.summary == "10.5"


def test_a_matching_line_may_clear_a_log_diagnosis() -> None:
    """`clear_when` is looked at on matching lines and ends it at once, whatever keep_firing says."""
    body = "match: ['link (?P<now>up|down)']\nwhen: now == 'down'\nclear_when: now == 'up'\nkeep_firing: 1h"
    feed = Feed(rules(rule(body, on="train.log")))
    made = feed.send(resource(), line("link down", 0), line("nothing", 1), line("link up", 2))
    assert [(one.state, one.evidence.get("reason")) for one in made] == [
        ("firing", None),
        ("resolved", "cleared"),
    ]


def test_rules_of_rules() -> None:
    """They see transitions of other rules in order, with evidence, never those of rules like themselves."""
    ruleset = rules(
        rule(LARGE, name="large"),
        rule("when: rule == 'large' and field('loss') > 15\nfor: 2", name="again", on="diagnosis"),
        rule("when: state == 'firing'", name="any", on="diagnosis"),
    )
    feed = Feed(ruleset)
    losses = [20.0, 1.0, 30.0]
    made = feed.send(resource(), *(step(n, loss=loss) for n, loss in enumerate(losses)), ended(9.0))
    assert [(one.rule, one.state) for one in made] == [
        ("large", "firing"), ("any", "firing"), ("large", "resolved"), ("any", "resolved"),
        ("large", "firing"), ("any", "firing"), ("large", "resolved"), ("again", "firing"),
        ("any", "resolved"), ("again", "resolved"),
    ]  # fmt: skip


def test_what_an_event_lacks_costs_its_rules_nothing() -> None:
    """Events are routed by the names of their values: a rule that lacks one has no series at all."""
    feed = Feed(
        rules(rule(LARGE, name="large"), rule("when: kl > 1", name="kl"), rule("when: has(kl)", name="has"))
    )
    feed.send(resource(), step(0, loss=1.0), step(1, loss=2.0))
    (run,) = feed.engine.runs.values()
    assert [name for name, _ in run.series] == ["large", "has"]


def test_the_end_of_recorded_data_judges_what_was_held() -> None:
    """drain() gives up every gap; nothing comes after it."""
    feed = Feed(rules(rule(LARGE)))
    assert feed.send(resource(), step(5, seq=5, loss=20.0), step(7, seq=7, loss=1.0)) == []
    assert story(feed.engine.drain()) == [
        ("large", "firing", 0, 5, None),
        ("large", "resolved", 0, 7, "cleared"),
    ]
    assert feed.engine.drain() == []


def test_values_that_are_text_or_nothing_do_not_hurt_other_rules() -> None:
    """One rule's missing value leaves the others their sample, in any mixture of kinds."""
    ruleset = rules(
        rule(LARGE, name="large"), rule("when: grad_norm > 10 and step >= 0 and loss > 0", name="both"),
        rule("when: grad_norm > 10 and (not has(loss) or isnan(loss))", name="lone"),
    )  # fmt: skip
    found = [
        step(0, loss=20, grad_norm=None), step(1, loss="x", grad_norm=20.0),
        step(2, loss=True, grad_norm=20.0),
        Event("train.step", 3, values={"loss": math.nan, "grad_norm": 20.0}),
    ]  # fmt: skip
    made = Feed(ruleset).send(resource(), *found)
    assert [(one.rule, one.state, one.step) for one in made] == [
        ("large", "firing", 0), ("lone", "firing", 1), ("large", "resolved", 2), ("both", "firing", 2),
        ("lone", "resolved", 2), ("lone", "firing", None),
    ]  # fmt: skip


def test_a_run_of_many_series_is_bounded() -> None:
    """A key that takes ever new values is cut off and counted, in memory and in the snapshot."""
    body = "match: ['request (?P<id>[0-9]+)']\nkeep_firing: 1s\nby: [run, rank, id]"
    engine = Engine(rules(rule(body, on="train.log")), max_series=50)
    feed = Feed(rules(rule(LARGE)))
    feed.engine = engine
    for number in range(500):
        feed.send(resource(), line(f"request {number}", number))
        feed.tick(float(number))
    (run,) = engine.runs.values()
    assert (len(run.series), len(run.open), engine.counts.series_refused) == (50, 0, 450)
