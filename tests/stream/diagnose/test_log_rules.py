"""Log rules: match, unless, groups, and how long a diagnosis lasts."""

from __future__ import annotations

import pytest

from tests.stream.diagnose.stories import Feed, line, resource, rule, rules, story

OOM = """\
match: ["out of memory", "Tried to allocate (?P<wanted>[0-9]+) MiB"]
unless: ["(?i)retry"]
keep_firing: 60s"""


def _feed(body: str = OOM, summary: str = "{text} {wanted}") -> Feed:
    return Feed(rules(rule(body, name="oom", on="train.log", summary=summary)))


def test_a_matching_line_fires_with_its_text_and_groups() -> None:
    """The first pattern that matches gives the groups; an absent group is unknown."""
    (made,) = _feed().send(resource(), line("all well"), line("Tried to allocate 20 MiB"))
    assert made.summary == "Tried to allocate 20 MiB 20"
    assert (made.evidence["text"], made.evidence["wanted"]) == ("Tried to allocate 20 MiB", "20")


def test_unless_wins() -> None:
    """A benign look-alike is no match, whatever else matches."""
    assert _feed().send(resource(), line("out of memory, retrying")) == []


def test_lines_that_do_not_match_say_nothing() -> None:
    """Only the clock ends a log diagnosis: keep_firing after the last matching line."""
    feed = _feed()
    feed.tick(0)
    assert (
        len(feed.send(resource(), line("out of memory", 0), line("calm", 1), line("out of memory", 30))) == 1
    )
    assert feed.tick(89) == []
    (made,) = feed.tick(500)
    assert (made.state, made.evidence["reason"], made.time) == (
        "resolved",
        "quiet",
        "1970-01-01T00:01:30.000000Z",
    )


@pytest.mark.parametrize("with_tick", [True, False])
def test_a_line_after_the_quiet_is_a_new_diagnosis(with_tick: bool) -> None:
    """Whether a tick came in between or not, the transitions are the same."""
    feed = _feed()
    made = feed.send(resource(), line("out of memory", 0))
    made += feed.tick(100) if with_tick else []
    made += feed.send(resource(), line("out of memory", 200))
    assert [one.state for one in made] == ["firing", "resolved", "firing"]
    assert [one.time[14:19] for one in made] == ["00:00", "01:00", "03:20"]


def test_a_process_that_ends_takes_its_diagnosis_along() -> None:
    """An attempt that ended resolves it, and the clock has nothing left to do."""
    feed = _feed()
    feed.send(resource(attempt=0), line("out of memory"))
    assert story(feed.send(resource(attempt=1), line("hello"))) == [("oom", "resolved", 0, None, "ended")]
    assert feed.tick(1000) == []


def test_conditions_on_lines() -> None:
    """`where` and `when` may look at severity, body and groups; a rule without match sees every line."""
    body = 'match: ["took (?P<took>[0-9.]+) s"]\nwhen: number(took) > 5\nkeep_firing: 1s'
    feed = _feed(body, "{took}")
    assert [one.summary for one in feed.send(resource(), line("took 3.5 s"), line("took 7.5 s"))] == ["7.5"]
    every = _feed("when: endswith(lower(body), 'no') and 'fatal' in lower(body)", "x")
    assert len(every.send(resource(), line("fine"), line("FATAL: no"))) == 1


def test_long_and_strange_lines_do_no_harm() -> None:
    """Lines are cut for matching and in the evidence; lone surrogates and NULs are data."""
    feed = _feed()
    (made,) = feed.send(resource(), line("\ud800\x00 out of memory " + "x" * 100_000))
    assert len(made.evidence["text"]) == 500
    assert feed.send(resource(), line("x" * 20_000 + "out of memory")) == []
    assert feed.send(resource(1), line("")) == []
