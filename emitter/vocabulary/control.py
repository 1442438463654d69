"""What people tell remediation, as it travels on ``remediation.control``, signed by an operator's key."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Final

from emitter.vocabulary import cloudevents

APPROVE: Final = "approve"
REJECT: Final = "reject"
RESET_BREAKER: Final = "reset_breaker"
SILENCE: Final = "silence"
UNSILENCE: Final = "unsilence"
MODE: Final = "mode"
KINDS: Final = (APPROVE, REJECT, RESET_BREAKER, SILENCE, UNSILENCE, MODE)
MODES: Final = ("act", "approve", "shadow")
"""From free to strict; of several the strictest holds."""

ABOUT_A_COMMAND: Final = frozenset({APPROVE, REJECT})
ABOUT_A_SILENCE: Final = frozenset({SILENCE, UNSILENCE})


@dataclass(frozen=True)
class Silence:
    """What is kept quiet until ``ends`` (RFC 3339): a run, a rule, or the rule in that run; None is any.

    ``unsilence`` needs only the ``id``.
    """

    id: str
    run: str | None = None
    rule: str | None = None
    ends: str | None = None
    comment: str | None = None


@dataclass(frozen=True)
class RunMode:
    """The mode of the runs whose id or name is like ``run``, until ``ends`` (RFC 3339).

    ``mode`` None takes an earlier word about the same ``run`` back.
    """

    run: str
    mode: str | None = None
    ends: str | None = None


@dataclass(frozen=True)
class Control:
    """One word of a person. ``time`` is when it was said, RFC 3339; ``command`` the id it is about.

    A trip of the breaker has the id of the command that was kept back first.
    """

    kind: str
    author: str
    time: str
    command: str | None = None
    reason: str | None = None
    silence: Silence | None = None
    run_mode: RunMode | None = None

    @property
    def id(self) -> str:
        """The same words are the same message, however often it is read."""
        return hashlib.blake2b(cloudevents.dumps(self.to_json()).encode(), digest_size=16).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The ``data`` object."""
        data: dict[str, Any] = cloudevents.finite(asdict(self))
        return data

    def encode(self) -> bytes:
        """The CloudEvent; its subject is the command, the silence or the run, else the kind."""
        about = self.silence.id if self.silence else self.run_mode.run if self.run_mode else self.kind
        subject = self.command or about
        return cloudevents.encode(cloudevents.CONTROL, self.id, subject, self.time, self.to_json())


def decode_control(payload: bytes) -> Control:
    """A word of a person from its CloudEvent; unknown keys are ignored. Raises CloudEventError."""
    data = cloudevents.decode(payload, cloudevents.CONTROL)
    fields: dict[str, Any] = {name: data.get(name) for name in Control.__dataclass_fields__}
    if fields["kind"] not in KINDS:
        raise _error("kind", f"one of {', '.join(KINDS)}", fields["kind"])
    for name in ("author", "time"):
        _require_text(name, fields[name])
    _require_time("time", fields["time"])
    if fields["kind"] in ABOUT_A_COMMAND:
        _require_text("command", fields["command"])
    fields["silence"] = _silence(fields["kind"], fields["silence"])
    fields["run_mode"] = _run_mode(fields["kind"], fields["run_mode"])
    return Control(**fields)


def _silence(kind: str, value: Any) -> Silence | None:
    if kind not in ABOUT_A_SILENCE:
        return None
    if not isinstance(value, dict):
        raise _error("silence", "an object", value)
    parts: dict[str, Any] = {name: value.get(name) for name in Silence.__dataclass_fields__}
    found = Silence(**parts)
    _require_text("silence.id", found.id)
    if kind == SILENCE:
        # One without an end would be forgotten.
        _require_text("silence.ends", found.ends)
        _require_time("silence.ends", str(found.ends))
    return found


def _run_mode(kind: str, value: Any) -> RunMode | None:
    if kind != MODE:
        return None
    if not isinstance(value, dict):
        raise _error("run_mode", "an object", value)
    parts: dict[str, Any] = {name: value.get(name) for name in RunMode.__dataclass_fields__}
    found = RunMode(**parts)
    _require_text("run_mode.run", found.run)
    if found.mode is None:
        return found
    if found.mode not in MODES:
        raise _error("run_mode.mode", f"one of {', '.join(MODES)}", found.mode)
    _require_text("run_mode.ends", found.ends)
    _require_time("run_mode.ends", str(found.ends))
    return found


def _require_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise _error(name, "a string that is not empty", value)


def _require_time(name: str, value: str) -> None:
    try:
        cloudevents.parse_rfc3339(value)
    except ValueError:
        raise _error(name, "a time such as 2026-01-01T00:00:00Z", value) from None


def _error(name: str, expected: str, got: Any) -> cloudevents.CloudEventError:
    return cloudevents.CloudEventError(f"control: expected `{name}` to be {expected}, got {got!r}")
