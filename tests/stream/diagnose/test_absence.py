"""What an absence is: of any event, after another, relative to past gaps, in some phases only."""

from __future__ import annotations

from typing import Any

import pytest

from emitter.vocabulary.diagnoses import Diagnosis
from stream.events import Event, Resource
from tests.stream.diagnose.stories import SECOND, Feed, ended, resource, rules, step, story


def _absent(inner: str, *, name: str = "hang", more: str = "") -> str:
    return f'- id: {name}\n  category: hang\n  summary: "{{silent:.0f}}"\n  absent: {{{inner}}}{more}'


HANG = _absent("of: train.step, for: 60s")
TIMES = _absent("of: train.step, for: 60s, times: 3")
PHASES = _absent("of: train.step, for: 60s, times: 3, phases: [train]")
STUCK = _absent("of: checkpoint.save, after: checkpoint.started, for: 30m", name="stuck")
MINUTE = 60.0


def _beat(at: float, phase: str = "train", at_step: int | None = None) -> Event:
    return Event("train.heartbeat", int(at * SECOND), step=at_step, values={"train.phase": phase})


def _steps(*times: float) -> list[Event]:
    return [step(number, at=at, loss=1.0) for number, at in enumerate(times)]


def _started(at: float) -> Event:
    return Event("checkpoint.started", int(at * SECOND), step=5)


def _saved(begin: float, end: float) -> Event:
    return Event(
        "checkpoint.save",
        int(begin * SECOND),
        values={"duration": end - begin},
        end=int(end * SECOND),
        status="ok",
    )


def _send(rule: str, *events: Event, who: Resource | None = None, **more: Any) -> list[Diagnosis]:
    return Feed(rules(rule), **more).send(who or resource(), *events)


def _at(made: list[Diagnosis]) -> list[tuple[str, str, Any]]:
    return [(one.state, one.time[11:19], one.evidence.get("reason")) for one in made]


def test_a_step_that_does_not_come_while_the_rank_lives() -> None:
    """It fires as of the limit, once a heartbeat of after it proves the absence; a step resolves it."""
    made = _send(
        HANG, *_steps(0, 1), _beat(30), _beat(60.9), _beat(90), _beat(120), step(2, at=130.0, loss=1.0)
    )
    assert _at(made) == [("firing", "00:01:01", None), ("resolved", "00:02:10", "returned")]
    assert (made[0].step, made[0].summary, made[0].evidence["train.phase"]) == (1, "60", "train")
    assert made[0].evidence["longest_gap"] == 1.0


def test_nothing_before_the_second() -> None:
    """The first step with its compilation is no gap, however long it takes."""
    assert _send(HANG, _beat(0), _beat(500), *_steps(1000), _beat(1500), _beat(5000)) == []


def test_no_heartbeat_after_the_limit_proves_nothing() -> None:
    """A dead rank, an outage of telemetry or a backlog is no hang: ticks and gateways alone say nothing."""
    feed = Feed(rules(HANG))
    feed.tick(0, gateways={"gw": 0.0})
    assert feed.send(resource(gateway="gw"), *_steps(0, 1), _beat(30)) == []
    assert feed.tick(5000, gateways={"gw": 5000.0}) == []


def test_what_was_buffered_comes_in_order() -> None:
    """After an outage steps and heartbeats come late but in order, and no gap is seen."""
    late: list[Event] = []
    for second in range(0, 600, 20):
        late += [step(second, at=float(second), loss=1.0), _beat(second + 1.0)]
    assert _send(HANG, *late) == []


def test_a_lost_step_is_no_hang() -> None:
    """A heartbeat that speaks of a later step than the last one read starts the clock anew."""
    events = [*_steps(0, 1), _beat(50, at_step=40), _beat(100, at_step=40), _beat(120, at_step=40)]
    assert _at(_send(HANG, *events)) == [("firing", "00:01:50", None)]
    moving = [_beat(float(second), at_step=second) for second in range(30, 900, 30)]
    assert _send(HANG, *_steps(0, 1), *moving) == []


@pytest.mark.parametrize(("silent", "fires"), [(299.0, False), (301.0, True)])
def test_the_limit_grows_with_the_longest_recent_gap(silent: float, fires: bool) -> None:
    """`times: 3` waits three times the longest of the last fifty gaps, and never less than `for`."""
    made = _send(TIMES, *_steps(0, 1, 101, 102), _beat(102 + silent))
    assert [one.state for one in made] == ["firing"] * fires


def test_gaps_are_forgotten_after_fifty() -> None:
    """A slow beginning does not blunt the rule for the rest of the run."""
    quick = [step(n, at=200.0 + n, loss=1.0) for n in range(60)]
    made = _send(TIMES, *_steps(0, 1, 101), *quick, _beat(259 + 61))
    assert [one.time[11:19] for one in made] == ["00:05:19"]


def test_time_outside_the_phases_does_not_count() -> None:
    """Evaluation, checkpoints and pauses stop the clock; it starts anew when training goes on."""
    legal = [_beat(2.0, "eval"), _beat(400.0, "eval"), _beat(401.0), _beat(460.0)]
    assert _send(PHASES, _beat(0), *_steps(0, 1), *legal) == []
    made = _send(PHASES, _beat(0), *_steps(0, 1), *legal, _beat(462.0))
    assert _at(made) == [("firing", "00:07:41", None)]


def test_a_gap_with_another_phase_in_it_is_not_measured() -> None:
    """An evaluation of twenty minutes does not make the limit an hour."""
    events = [_beat(0), *_steps(0, 1), _beat(2, "eval"), _beat(1200), step(2, at=1201.0, loss=1.0)]
    made = _send(PHASES, *events, step(3, at=1202.0, loss=1.0), _beat(1203), _beat(1263))
    assert [one.time[11:19] for one in made] == ["00:21:02"]


def test_a_phase_that_does_not_count_clears_what_fires() -> None:
    """A rank that hung in training and then evaluates hangs no more."""
    made = _send(PHASES, _beat(0), *_steps(0, 1), _beat(70), _beat(80, "eval"))
    assert _at(made) == [("firing", "00:01:01", None), ("resolved", "00:01:20", "cleared")]


def test_a_checkpoint_that_does_not_end() -> None:
    """The clock starts with the start; the end of the span resolves. One that ends in time is none."""
    slow = [_started(100), _beat(100 + 31 * MINUTE), _saved(100, 100 + 32 * MINUTE)]
    assert _at(_send(STUCK, _started(0), _saved(0, 50), *slow)) == [
        ("firing", "00:31:40", None),
        ("resolved", "00:33:40", "returned"),
    ]
    assert _send(STUCK, _started(0), _saved(0, 60), _beat(40 * MINUTE), _beat(90 * MINUTE)) == []


def test_ends_answer_the_starts_before_them() -> None:
    """An end that is read late answers its own start, not the one after it; one read early starts nothing."""
    late = [_started(0), _started(100), _saved(0, 50), _beat(100 + 31 * MINUTE)]
    assert [one.time[11:19] for one in _send(STUCK, *late)] == ["00:31:40"]
    assert _send(STUCK, _saved(0, 50), _started(0), _beat(60 * MINUTE)) == []


def test_the_end_of_a_span_may_be_read_a_little_later() -> None:
    """Spans travel apart from log records: a heartbeat just after the limit is no proof yet."""
    assert _send(STUCK, _started(0), _beat(30 * MINUTE + 5), _saved(0, 30 * MINUTE - 1)) == []


def test_an_open_checkpoint_across_five_restarts() -> None:
    """It fires zero times: nothing of an attempt is waited for in the next."""
    feed = Feed(rules(STUCK, HANG))
    made: list[Diagnosis] = []
    for attempt in range(6):
        begin, who = attempt * 600.0, resource(attempt=attempt)
        made += feed.tick(begin)
        made += feed.send(who, _started(begin + 1)) if attempt == 0 else []
        for minute in range(10):
            at = begin + minute * MINUTE + 5
            made += feed.send(who, step(minute, at=at, loss=1.0), _beat(at + 10))
            made += feed.tick(at + 20)
    made += feed.tick(10_000)
    assert made == []


def test_an_end_of_the_process_ends_it() -> None:
    """What ended does not hang; what fired resolves as `ended`."""
    assert _send(HANG, *_steps(0, 1), ended(2.0), _beat(500)) == []
    made = _send(HANG, *_steps(0, 1), _beat(70), ended(80.0))
    assert story(made) == [("hang", "firing", 0, 1, None), ("hang", "resolved", 0, 1, "ended")]


def test_a_cause_keeps_an_absence_quiet() -> None:
    """inhibited_by holds for absences; when the cause is over the next heartbeat fires it."""
    cause = '- id: cause\n  category: nan_loss\n  summary: "x"\n  on: train.eval\n  when: eval_loss > 10'
    feed = Feed(rules(_absent("of: train.step, for: 60s", more="\n  inhibited_by: [cause]"), cause))
    bad = Event("train.eval", SECOND, step=1, values={"eval_loss": 20.0})
    good = Event("train.eval", 80 * SECOND, step=1, values={"eval_loss": 2.0})
    made = feed.send(resource(), *_steps(0, 1), bad, _beat(70), good, _beat(90))
    assert [(one.rule, one.state) for one in made] == [
        ("cause", "firing"), ("cause", "resolved"), ("hang", "firing"),
    ]  # fmt: skip
