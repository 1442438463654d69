"""Diagnoses about what is long past say how late they are, by the times in the log."""

from __future__ import annotations

from emitter.vocabulary import diagnoses
from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.partition import LATE, LATE_S
from stream.events import VERSION, Batch, Source
from tests.stream.diagnose.stories import LARGE, resource, rule, step
from tests.stream.diagnose.takeovers import encoded_rules, fresh, log_of, read

RULES = encoded_rules(rule(LARGE))
AT_S = 100


def _said(written_s: float) -> list[Diagnosis]:
    """What is said of an explosion and its end that were written to the log then."""
    events = [step(0, at=AT_S, loss=20.0), step(1, at=AT_S + 60, loss=1.0)]
    batch = Batch(VERSION, "run", Source("otlp_logs", 0, 1, 1), [resource()], events)
    records = log_of([batch], round(written_s * 1000))
    return [diagnoses.decode(one.value) for one in read(fresh(RULES), records)]


def test_what_is_long_past_says_how_late_it_is() -> None:
    """Each transition by its own time: one of them may be late and the other not."""
    fired, ended = _said(AT_S + 130)
    assert (fired.evidence[LATE], LATE in ended.evidence) == (130.0, False)
    assert [one.evidence[LATE] for one in _said(AT_S + 1800)] == [1800.0, 1740.0]


def test_what_is_told_in_time_is_not_late() -> None:
    """Nor what has no time in the log, nor what a clock ahead of ours says."""
    for written_s in (AT_S + LATE_S - 1, AT_S, AT_S - 3600, 0):
        assert not any(LATE in one.evidence for one in _said(written_s))


def test_a_replay_says_the_same() -> None:
    """It depends on the log alone."""
    assert [one.encode() for one in _said(AT_S + 500)] == [one.encode() for one in _said(AT_S + 500)]
