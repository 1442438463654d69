"""What to do next time, as far as the facts say: each sentence names what it was drawn from. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stream.ledger import refusals
from stream.report.facts import Action, IncidentFacts, RunFacts
from stream.report.numbers import count, seconds, share

_SLOW_S: Final = 60.0
_LARGE: Final = 0.1
"""A part of the run's time that is worth a word."""
_KEPT_BACK: Final = {
    "cooldown": "an action was held back by its cooldown",
    "budget": "an action was held back by the budget of restarts",
    "silenced": "an action was held back by a silence",
    "suppressed": "an action was not done because the circuit breaker was open",
    "shadow": "an action was only recorded, because its rule, its run or everything is in shadow mode",
    "breaker_tripped": "the circuit breaker was tripped, so that actions became notifications",
    "expired": "a command expired before every rank had done it",
}  # fmt: skip
_PARTS: Final = {
    "data_wait": "waiting for data", "checkpoint": "checkpoints that block", "recomputed": "steps made again",
    "hang": "standing still", "restart": "restarts", "paused": "pauses", "setup": "setup", "idle": "idle",
}  # fmt: skip


def of_incident(facts: IncidentFacts) -> list[str]:
    """Hints from one incident."""
    return list(dict.fromkeys(_about(facts)))


def of_run(facts: RunFacts) -> list[str]:
    """Hints from a run and its incidents."""
    return list(
        dict.fromkeys([*_of_time(facts), *_of_saves(facts), *(h for i in facts.incidents for h in _about(i))])
    )


def _about(facts: IncidentFacts) -> Iterator[str]:
    for action in facts.actions:
        yield from _of_action(action, facts)
    for kind, words in _KEPT_BACK.items():
        if facts.decided.get(kind):
            yield f"{count(facts.decided[kind], 'time')} {words}."
    detect = (facts.cause.began - facts.event) / 1e9
    if detect > _SLOW_S:
        yield f"{facts.cause.rule} fired {seconds(detect)} after the first value that matched."
    if facts.gpu_seconds is None:
        yield "No GPU was seen, so the cost has no GPU hours: the emitter's GPU probe counts them."


def _of_action(action: Action, facts: IncidentFacts) -> Iterator[str]:
    if action.waited is not None:
        yield f"The command to {action.action} waited for approval for {seconds(action.waited)}."
    elif action.held is not None:
        yield f"The command to {action.action} was never approved."
    cure = refusals.cure(action.reason or "")
    if cure:
        yield f"{action.action} was refused ({action.reason}): {cure}."
    elif action.outcome in ("failed", "rejected", "expired", "aborted"):
        yield f"{action.action} ended as {action.outcome}" + (f": {action.reason}." if action.reason else ".")
    if action.action in ("rollback", "restart"):
        yield from _of_target(action, facts)


def _of_target(action: Action, facts: IncidentFacts) -> Iterator[str]:
    if not facts.saves:
        yield "No checkpoint had been saved before the incident."
    elif not facts.verified:
        saved = count(facts.saves, "checkpoint")
        yield f"No verified checkpoint existed before the incident ({saved} saved, none verified)."
    elif action.succeeded and len(facts.verified) > 1 and facts.lost_steps:
        apart = facts.verified[0].step - facts.verified[1].step
        if apart > 0:
            yield (
                f"Checkpoints were {count(apart, 'step')} apart and {count(facts.lost_steps, 'step')}"
                " had to be made again: saving more often loses less."
            )


def _of_saves(facts: RunFacts) -> Iterator[str]:
    saves = facts.saves
    if facts.last_step >= 0 and not saves.tried:
        yield "The run saved no checkpoint that Trainwarden knows of: nothing to roll back to."
    elif saves.tried and not saves.verified:
        yield f"None of {count(saves.tried, 'checkpoint')} was verified; a rollback needs a verified one."
    if saves.failed:
        yield f"{count(saves.failed, 'save')} of {saves.tried:,} failed."
    if facts.telemetry_lost:
        yield f"The emitters lost {count(facts.telemetry_lost, 'record')}: numbers above may lack them."


def _of_time(facts: RunFacts) -> Iterator[str]:
    spent = facts.goodput.whole if facts.goodput is not None else None
    if spent is None or not spent.wall:
        return
    for name, words in _PARTS.items():
        part = spent.parts[name]
        if part / spent.wall >= _LARGE:
            yield f"{share(part, spent.wall)} of the time went into {words} ({seconds(part)})."
