"""Whether a command may be run here and now. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from emitter._ranks import Identity
from emitter.vocabulary import cloudevents, commands
from emitter.vocabulary.commands import Command


@dataclass(frozen=True)
class Refusal:
    """``state`` is ``rejected`` or ``expired``."""

    state: str
    reason: str
    detail: dict[str, Any] = field(default_factory=dict)


def addressed(command: Command, subject: Any, key: bytes | None, run: str) -> bool:
    """Whether anything on the message names this run."""
    return run in (command.run, subject) or key == run.encode()


def misaddressed(command: Command, subject: Any, run: str) -> Refusal | None:
    """The message came under our name, what was signed names another run."""
    if command.run == subject == run:
        return None
    other = command.run if command.run != run else str(subject)
    error = f"expected a command for run {run}, got one for {other}"
    return Refusal(commands.REJECTED, "other_run", {"error": error, "expected": run, "got": other})


def refusal(
    command: Command, identity: Identity, now_ns: int, allow: Collection[str] | None, known: Collection[str]
) -> Refusal | None:
    """Why the command is not run, or None if it may be."""
    return (
        _wrong_attempt(command, identity)
        or _wrong_time(command, now_ns)
        or _wrong_action(command, allow, known)
    )


def _wrong_attempt(command: Command, identity: Identity) -> Refusal | None:
    if command.attempt == identity.attempt:
        return None
    reason = "stale_attempt" if command.attempt < identity.attempt else "future_attempt"
    return Refusal(commands.REJECTED, reason, {"expected": identity.attempt, "got": command.attempt})


def _wrong_time(command: Command, now_ns: int) -> Refusal | None:
    try:
        issued, expires = (cloudevents.parse_rfc3339(text) for text in (command.issued, command.expires))
    except ValueError as error:
        return Refusal(commands.REJECTED, "bad_time", {"error": str(error)})
    skew_ns = int(commands.CLOCK_SKEW_S * 1e9)
    if issued > now_ns + skew_ns:
        return Refusal(commands.REJECTED, "clock_skew", {"ahead_s": round((issued - now_ns) * 1e-9, 3)})
    if expires + skew_ns < now_ns:
        return Refusal(commands.EXPIRED, "expired")
    return None


def _wrong_action(command: Command, allow: Collection[str] | None, known: Collection[str]) -> Refusal | None:
    if command.action not in known:
        reason = "no_handler" if command.action in commands.ACTIONS else "unknown_action"
        return Refusal(commands.REJECTED, reason, {"action": command.action})
    if allow is not None and command.action not in allow:
        return Refusal(commands.REJECTED, "not_allowed", {"action": command.action})
    return None
