"""What keeps an action back: modes, budgets, the circuit breaker, silences."""

from __future__ import annotations

import itertools

import pytest

from emitter.vocabulary import cloudevents, commands
from stream.remediate.settings import MODES, Breaker, Budget, RunMode, Settings, Silence
from tests.stream.remediate.scenes import RUN, START_NS, Scene

MANY = 50


def fifty(scene: Scene, rule: str = "hung", at_s: float = 1.0) -> None:
    """The rule fires on many runs at once."""
    for number in range(MANY):
        scene.fire(rule, at_s=at_s, run=f"run-{number}", id=f"d-{number}-{at_s:g}")


@pytest.mark.parametrize(
    ("settled", "rule", "run"), list(itertools.product(MODES, (None, *MODES), (None, *MODES)))
)
def test_the_strictest_mode_holds(settled: str, rule: str | None, run: str | None) -> None:
    """Of the worker's, the rule's and the run's own."""
    asked = [mode for mode in (settled, rule, run) if mode is not None]
    strictest = max(asked, key=MODES.index)
    assert Settings(mode=settled).mode_of("r", None, rule, run) == strictest
    assert Settings(mode=settled).mode_of("r", None, run, rule) == strictest


def test_a_mode_may_be_set_for_runs_by_id_or_name() -> None:
    """The pattern is that of a shell."""
    settings = Settings(mode="act", runs=(RunMode("exp-*", "shadow"),))
    assert settings.mode_of("exp-1", None) == "shadow"
    assert settings.mode_of("4711", "exp-1") == "shadow"
    assert settings.mode_of("4711", "gpt") == "act"


def test_a_run_may_ask_for_a_stricter_mode_itself() -> None:
    """By its resource attribute; a freer one changes nothing."""
    scene = Scene()
    scene.lifecycle("started", rank=0, mode="shadow")
    scene.fire("hung", at_s=1)
    assert scene.story() == ["opened", "shadow restart"]
    free = Scene("approve")
    free.lifecycle("started", rank=0, mode="act")
    free.fire("hung", at_s=1)
    assert free.story() == ["opened", "held restart"]


def test_restarts_of_a_run_have_a_budget() -> None:
    """Three an hour; the fourth is not sent, and a person is told. Another run has its own."""
    scene = Scene(settle_s=1.0)
    for number in range(4):
        at_s = 100.0 * number + 1
        scene.tick(at_s)
        scene.fire("hung", at_s=at_s)
        if number < 3:
            scene.ack(scene.sent[-1], commands.SUCCEEDED)
            scene.resolve("hung", at_s=at_s)
            scene.tick(at_s + 10)
    assert [c.action for c in scene.sent] == ["restart"] * 3
    assert scene.story()[-3:] == ["budget restart", "escalated", "notified"]
    assert scene.made[-3].reason == "the budget of 3 restart or rollback in 3600 s is spent"
    scene.fire("hung", at_s=320, run="run-2", id="other")
    assert len(scene.sent) == 4


def test_a_budget_is_free_again_after_its_time() -> None:
    """It slides."""
    scene = Scene(settle_s=1.0, budgets=(Budget(1, 60.0),))
    for at_s in (1.0, 30.0, 62.0):
        scene.tick(at_s)
        scene.fire("hung", at_s=at_s)
        if scene.story()[-1] == "sent restart":
            scene.ack(scene.sent[-1], commands.SUCCEEDED)
        scene.resolve("hung", at_s=at_s)
        scene.tick(at_s + 2)
    assert [line for line in scene.story() if line.endswith("restart")] == [
        "sent restart", "succeeded restart", "budget restart", "sent restart", "succeeded restart",
    ]  # fmt: skip


@pytest.mark.parametrize(("mode", "done"), [("act", "sent restart"), ("approve", "held restart")])
def test_the_breaker_trips_after_the_configured_number_and_says_so_once(mode: str, done: str) -> None:
    """A rule that fires on 50 runs: ten are acted on, forty are not."""
    scene = Scene(mode, breaker=Breaker(10, 300.0))
    fifty(scene)
    story = scene.story()
    assert story.count(done) == 10
    assert story.count("suppressed restart") == MANY - 10
    assert [d.decision for d in scene.made].count("breaker_tripped") == 1
    tripped = next(d for d in scene.made if d.decision == "breaker_tripped")
    assert (tripped.run, tripped.severity, tripped.rule) == ("", "critical", "hung")
    assert tripped.reason == (
        "more than 10 runs were acted on within 300 s; nothing is done any more until a person resets it"
    )
    assert len(tripped.detail["runs"]) == 10


def test_an_open_breaker_notifies_only_until_a_person_resets_it() -> None:
    """Time does not close it; a rule's notify goes out; a word of a person opens the way again."""
    scene = Scene(breaker=Breaker(2, 300.0))
    fifty(scene)
    scene.tick(10_000)
    sent = len(scene.sent)
    scene.fire("told", at_s=10_000)
    assert scene.story()[-1] == "notified notify"
    scene.fire("hung", at_s=10_000, run="late", id="late")
    assert scene.story()[-1] == "suppressed restart"
    scene.say("reset_breaker", reason="the switch is mended")
    reset = scene.made[-1]
    assert (reset.decision, reset.author, reset.key, reset.reason) == (
        "breaker_reset", "ann", "k1", "the switch is mended",
    )  # fmt: skip
    scene.fire("hung", at_s=10_001, run="later", id="later")
    assert len(scene.sent) == sent + 1
    scene.say("reset_breaker", reason="again")
    assert scene.made[-1].reason == "the circuit breaker is not open"


def test_runs_one_after_the_other_do_not_trip_the_breaker() -> None:
    """Too many at once is what it is about."""
    scene = Scene(breaker=Breaker(2, 60.0))
    for number in range(10):
        scene.tick(number * 61.0)
        scene.fire("hung", at_s=number * 61.0, run=f"run-{number}", id=f"d{number}")
    assert len({command.run for command in scene.sent}) == 10
    assert scene.arbiter.state.tripped is None


def test_a_silence_keeps_actions_and_notifications_back_until_it_ends() -> None:
    """It names its author; the diagnosis stays on record."""
    scene = Scene()
    scene.silence(100, rule="told", comment="we know")
    scene.fire("told", at_s=1)
    assert scene.story() == ["silence_began", "opened", "silenced notify"]
    assert scene.made[-1].reason == "silence s1 of ann: we know"
    scene.fire("hung", at_s=2)
    assert scene.story()[-1] == "sent restart"
    scene.resolve("told", at_s=1)
    scene.tick(101)
    scene.fire("told", at_s=101)
    assert scene.story()[-1] == "notified notify"


def test_a_silence_may_be_ended_before() -> None:
    """By the same word that began it; one that is not there is refused."""
    scene = Scene()
    scene.silence(1000, run=RUN)
    scene.fire("told", at_s=1, id="a")
    scene.tick(2)
    said = scene.published  # the incident is on record, silenced
    assert said[0]["actions"][0]["outcome"] == "silenced"
    from emitter.vocabulary.control import Silence as About

    scene.say("unsilence", silence=About("s1"))
    assert scene.made[-1].decision == "silence_ended"
    scene.say("unsilence", silence=About("s1"), reason="again")
    assert scene.made[-1].decision == "refused"
    assert scene.made[-1].reason == "there is no silence s1 that was made by a person's word"


def test_a_silence_of_the_policy_file_holds_for_runs_by_name() -> None:
    """As those that are said."""
    ends = cloudevents.parse_rfc3339("2026-01-01T00:01:00Z")
    scene = Scene(silences=(Silence("move", ends, "ann", run="gpt-*"),))
    scene.lifecycle("started", rank=0, run_name="gpt-7")
    scene.fire("hung", at_s=1)
    assert scene.story() == ["opened", "silenced restart"]


def test_a_silence_that_has_ended_is_refused() -> None:
    """With the reason."""
    scene = Scene()
    scene.tick(50)
    scene.silence(40)
    assert (scene.made[-1].decision, scene.made[-1].reason) == ("refused", "silence s1 has ended already")


def test_another_policy_is_a_line_in_the_ledger_and_holds_from_there_on() -> None:
    """What was decided before stays."""
    from stream.remediate.reports import Report

    scene = Scene("shadow")
    scene.fire("hung", at_s=1)
    scene.give(Report(None, START_NS, policy=Settings(mode="act")))
    assert scene.made[-1].decision == "policy"
    assert scene.made[-1].detail["mode"] == "act"
    assert scene.give(Report(None, START_NS, policy=Settings(mode="act"))) == []
    scene.fire("hung", at_s=2, run="run-2", id="x")
    assert scene.story() == ["opened", "shadow restart", "policy", "opened", "sent restart"]
