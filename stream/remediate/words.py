"""What people say on ``remediation.control``: approvals, silences, modes of runs, and the breaker's reset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from emitter.vocabulary import cloudevents, commands, control
from emitter.vocabulary.control import Control
from stream.remediate import decisions
from stream.remediate.build import expires_ns
from stream.remediate.deciding import advance
from stream.remediate.decisions import Decision, of_step
from stream.remediate.incidents import Incident
from stream.remediate.reports import Word
from stream.remediate.runs import Run
from stream.remediate.settings import RunMode, Silence, like
from stream.remediate.steps import Step, StepState
from stream.remediate.turn import Turn

_TOO_LONG: Final = (
    "a word is remembered for {:g} days at most (`lookback`); set it in the policy file instead"
)


def take(turn: Turn, word: Word) -> Run | None:
    """Do what an operator says, or put into the ledger why not. The run it was about, if any."""
    said = control.decode_control(cloudevents.encode(cloudevents.CONTROL, word.id, "", "", word.data))
    why_not = word.refused or _too_old(turn, said)
    if why_not is None and turn.state.heard(word.id):
        return None
    if why_not is not None:
        return _refuse(turn, said, word, why_not)
    if said.kind == control.RESET_BREAKER:
        return _reset(turn, said, word)
    if said.kind in control.ABOUT_A_SILENCE:
        return _silence(turn, said, word)
    if said.kind == control.MODE:
        return _mode(turn, said, word)
    return _about_a_command(turn, said, word)


def _too_old(turn: Turn, said: Control) -> str | None:
    """A word counts for a while only, so that an old message that is sent again does nothing."""
    age_s = (turn.written_ns - cloudevents.parse_rfc3339(said.time)) / 1e9
    limit_s = turn.state.settings.words_s
    if age_s > limit_s:
        return f"it was said {age_s:.0f} s ago, expected at most {limit_s:g} s"
    if age_s < -commands.CLOCK_SKEW_S:
        return f"it was said {-age_s:.0f} s in the future: the clocks disagree"
    return None


def _about_a_command(turn: Turn, said: Control, word: Word) -> Run | None:
    found = turn.state.find(said.command or "")
    if found is None:
        return _refuse(turn, said, word, f"no command {said.command} is known in a run under way")
    run, incident, step = found
    why_not = _why_not(turn, run, step, said.kind)
    if why_not is not None:
        return _refuse(turn, said, word, why_not, step, incident)
    # A person's word is as late as the clock of the one who wrote it down says.
    now = max(turn.state.now(run), turn.written_ns)
    if said.kind == control.REJECT:
        reason, by = said.reason or "rejected", {"author": said.author, "key": word.key}
        turn.end(incident, step, StepState.DROPPED, decisions.REJECTED, now, reason, **by)
    else:
        _approve(turn, run, incident, step, said, word, now)
    advance(turn, run)
    return run


def _why_not(turn: Turn, run: Run, step: Step, kind: str) -> str | None:
    if step.state is not StepState.HELD:
        return f"the command does not wait for approval: it is {step.outcome or step.state.value}"
    if kind == control.REJECT:
        return None
    if run.over:
        return "the run ended"
    if step.attempt != run.attempt:
        return f"it is for attempt {step.attempt}, attempt {run.attempt} runs"
    return turn.state.tripped.reason if turn.state.tripped is not None else None


def _approve(
    turn: Turn, run: Run, incident: Incident, step: Step, said: Control, word: Word, now: int
) -> None:
    assert step.command is not None
    # It expires counted from here: nobody could obey what waited for hours.
    expires = cloudevents.rfc3339(now + int(turn.state.settings.lifetime_s * 1e9))
    step.command = replace(step.command, issued=cloudevents.rfc3339(now), expires=expires)
    step.expires_ns, step.author = expires_ns(step.command), said.author
    incident.note(now, decisions.APPROVED, f"{step.name} by {said.author}")
    turn.decide(
        of_step(decisions.APPROVED, incident, step, now, said.reason, author=said.author, key=word.key)
    )
    turn.state.acted[run.id] = max(turn.state.now(run), incident.began_ns)
    turn.send(run, incident, step, turn.state.now(run))


def _reset(turn: Turn, said: Control, word: Word) -> Run | None:
    tripped = turn.state.tripped
    if tripped is None:
        return _refuse(turn, said, word, "the circuit breaker is not open")
    if said.command != tripped.command:
        # Said about an earlier trip, and read only now: nobody has looked at this one yet.
        reason = (
            f"it names the trip by command {said.command}, the breaker was tripped by {tripped.command} since"
        )
        return _refuse(turn, said, word, reason)
    turn.state.tripped = None
    turn.state.acted.clear()
    reason = said.reason or f"it was open since {cloudevents.rfc3339(tripped.time_ns)}"
    turn.decide(_said(decisions.BREAKER_RESET, turn, said, word, reason))
    return None


def _silence(turn: Turn, said: Control, word: Word) -> Run | None:
    about = said.silence
    assert about is not None
    if said.kind == control.UNSILENCE:
        if turn.state.silences.pop(about.id, None) is None:
            return _refuse(
                turn, said, word, f"there is no silence {about.id} that was made by a person's word"
            )
        turn.decide(_said(decisions.SILENCE_ENDED, turn, said, word, said.reason))
        return None
    ends_ns = cloudevents.parse_rfc3339(str(about.ends))
    if ends_ns <= turn.written_ns:
        return _refuse(turn, said, word, f"silence {about.id} has ended already")
    if _too_long(turn, ends_ns):
        return _refuse(turn, said, word, _TOO_LONG.format(turn.state.settings.lookback_s / 86_400))
    turn.state.silences[about.id] = Silence(
        about.id, ends_ns, said.author, about.run, about.rule, about.comment
    )
    turn.decide(_said(decisions.SILENCE_BEGAN, turn, said, word, about.comment))
    return None


def _mode(turn: Turn, said: Control, word: Word) -> Run | None:
    about = said.run_mode
    assert about is not None
    runs = [run for run in turn.state.runs.values() if like(run.id, about.run) or like(run.name, about.run)]
    if about.mode is None:
        if turn.state.modes.pop(about.run, None) is None:
            return _refuse(turn, said, word, f"no mode of {about.run} was set by a person's word")
        said_of = "what the policy, the rule and the run say holds again"
    else:
        ends_ns = cloudevents.parse_rfc3339(str(about.ends))
        if ends_ns <= turn.written_ns:
            return _refuse(turn, said, word, "it has ended already")
        if _too_long(turn, ends_ns):
            return _refuse(turn, said, word, _TOO_LONG.format(turn.state.settings.lookback_s / 86_400))
        turn.state.modes[about.run] = RunMode(about.run, about.mode, ends_ns)
        said_of = f"at least {about.mode} until {about.ends}"
    known = f"{len(runs)} known run{'' if len(runs) == 1 else 's'}"
    more = {"run": runs[0].id, "run_name": runs[0].name} if len(runs) == 1 else {}
    turn.decide(_said(decisions.MODE_SET, turn, said, word, f"{about.run}: {said_of} ({known})", **more))
    return None


def _too_long(turn: Turn, ends_ns: int) -> bool:
    """Whether it would be forgotten before its end, by a worker that reads back no further."""
    return ends_ns - turn.written_ns > turn.state.settings.lookback_s * 1e9


def _refuse(
    turn: Turn,
    said: Control,
    word: Word,
    reason: str,
    step: Step | None = None,
    incident: Incident | None = None,
) -> Run | None:
    more: dict[str, Any] = {}
    if step is not None and incident is not None:
        more = {
            "run": incident.run, "attempt": step.attempt, "incident": incident.id, "action": step.name,
            "rule": step.diagnosis.rule, "diagnosis": step.diagnosis.id,
        }  # fmt: skip
    turn.decide(_said(decisions.REFUSED, turn, said, word, reason, **more))
    return None


def _said(decision: str, turn: Turn, said: Control, word: Word, reason: str | None, **more: Any) -> Decision:
    detail = {name: value for name, value in said.to_json().items() if value is not None}
    about = {"run": "", "attempt": 0, **more}
    return Decision(
        id=f"control/{word.id}/{decision}",
        decision=decision,
        time_ns=turn.written_ns,
        reason=reason,
        author=said.author,
        key=word.key,
        detail=detail,
        **about,
    )
