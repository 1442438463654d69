"""Clock and silence: when a rank counts as unreachable."""

from __future__ import annotations

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.clock import Clock
from tests.stream.diagnose.stories import SECOND, Feed, beat, ended, resource, rules, step, story, tick

SILENT = """\
- id: no-heartbeat
  category: unreachable
  summary: "rank {rank} silent for {silent:.0f} s"
  absent: {of: train.heartbeat, for: 120s}"""


def _feed() -> Feed:
    return Feed(rules(SILENT))


def test_the_clock_is_the_slowest_source() -> None:
    """No time until all sources were heard; then the minimum, never backwards."""
    clock = Clock()
    clock.advance(tick(10, partition=0, sources=2))
    times = [clock.now]
    for at in (7, 5, 20):
        clock.advance(tick(at, partition=1, sources=2))
        times.append(clock.now)
    assert times == [None, 7 * SECOND, 7 * SECOND, 10 * SECOND]


def test_silence_fires_at_its_limit_whatever_the_ticks() -> None:
    """The diagnosis has the time at which the limit passed, and what the last heartbeat said."""
    feed = _feed()
    feed.tick(0)
    feed.send(resource(2), beat(0.0))
    assert feed.tick(119.9) == []
    (made,) = feed.tick(500)
    assert (made.state, made.rank, made.step, made.time) == ("firing", 2, 7, "1970-01-01T00:02:00.000000Z")
    assert made.summary == "rank 2 silent for 120 s"
    assert made.evidence["train.phase"] == "train"
    assert feed.tick(900) == []


def test_a_rank_that_returns_resolves_and_can_fall_silent_again() -> None:
    """Reason `returned`."""
    feed = _feed()
    feed.tick(0)
    feed.send(resource(), beat(0.0))
    feed.tick(200)
    assert story(feed.send(resource(), beat(201.0))) == [("no-heartbeat", "resolved", 0, 7, "returned")]
    assert feed.tick(320) == []
    assert [one.state for one in feed.tick(322)] == ["firing"]


def test_heartbeats_in_time_are_no_silence() -> None:
    """Each one moves the limit."""
    feed = _feed()
    made: list[Diagnosis] = []
    for second in range(0, 1000, 30):
        made += feed.tick(second)
        made += feed.send(resource(), beat(float(second)))
    assert made == []


def test_an_ended_rank_is_not_silent() -> None:
    """A rank that said goodbye may be quiet; one that never sent a heartbeat too."""
    feed = _feed()
    feed.tick(0)
    feed.send(resource(0), beat(0.0), ended(1.0))
    feed.send(resource(1), step(0, loss=1.0))
    assert feed.tick(10_000) == []


def test_an_open_silence_ends_with_its_attempt() -> None:
    """A restart resolves it, and the old attempt is watched no more."""
    feed = _feed()
    feed.tick(0)
    feed.send(resource(0, attempt=0), beat(0.0))
    feed.send(resource(1, attempt=0), beat(100.0))
    feed.tick(200)
    assert story(feed.send(resource(0, attempt=1), beat(201.0))) == [
        ("no-heartbeat", "resolved", 0, 7, "ended")
    ]
    assert feed.tick(300) == []


def test_a_backlog_is_no_silence() -> None:
    """While one source of the stream is behind, the clock stands, and nothing is concluded."""
    feed = _feed()
    for partition in (0, 1):
        feed.tick(0, partition=partition, sources=2)
    feed.send(resource(), beat(0.0))
    assert feed.tick(500, partition=0, sources=2) == []
    feed.send(resource(), beat(500.0))
    assert feed.tick(510, partition=1, sources=2) == []


def test_a_clock_that_jumps_ahead_of_read_heartbeats_is_no_silence() -> None:
    """Heartbeats read while the clock stood still count by their own time."""
    feed = _feed()
    for partition in (0, 1):
        feed.tick(0, partition=partition, sources=2)
    for second in range(0, 600, 30):
        feed.tick(second, partition=0, sources=2)
        assert feed.send(resource(), beat(float(second))) == []
    assert feed.tick(600, partition=1, sources=2) == []


def test_a_trainer_whose_clock_is_behind_is_no_silence() -> None:
    """Heartbeats read now count as now, whatever time they say."""
    feed = _feed()
    made = []
    for second in range(1000, 2000, 30):
        made += feed.tick(second)
        made += feed.send(resource(), beat(second - 900.0))
    assert made == []


def test_a_dead_gateway_is_no_silent_rank() -> None:
    """Silence counts only when the rank's own gateway was heard after the limit."""
    feed = _feed()
    who = resource(gateway="gw-1")
    feed.tick(0, gateways={"gw-1": 0.0})
    feed.send(who, beat(0.0))
    assert feed.tick(130) == []
    assert feed.tick(140, gateways={"gw-2": 140.0, "gw-1": 110.0}) == []
    assert [one.state for one in feed.tick(150, gateways={"gw-1": 125.0})] == ["firing"]


def test_silence_under_its_cause_waits() -> None:
    """inhibited_by holds for silence too."""
    cause = '- id: cause\n  category: nan_loss\n  summary: "x"\n  on: train.step\n  when: loss > 10'
    feed = Feed(rules(SILENT + "\n  inhibited_by: [cause]", cause))
    feed.tick(0)
    feed.send(resource(0), beat(0.0))
    feed.send(resource(1), step(0, loss=20.0))
    assert feed.tick(10) + feed.tick(130) == []
    assert story(feed.send(resource(1), step(1, loss=1.0))) == [
        ("cause", "resolved", 1, 1, "cleared"), ("no-heartbeat", "firing", 0, 7, None),
    ]  # fmt: skip
