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
KINDS: Final = (APPROVE, REJECT, RESET_BREAKER, SILENCE, UNSILENCE)

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
class Control:
    """One word of a person. ``time`` is when it was said, RFC 3339; ``command`` the id it is about."""

    kind: str
    author: str
    time: str
    command: str | None = None
    reason: str | None = None
    silence: Silence | None = None

    @property
    def id(self) -> str:
        """The same words are the same message, however often it is read."""
        return hashlib.blake2b(cloudevents.dumps(self.to_json()).encode(), digest_size=16).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The ``data`` object."""
        data: dict[str, Any] = cloudevents.finite(asdict(self))
        return data

    def encode(self) -> bytes:
        """The CloudEvent; its subject is the command or the silence, else the kind."""
        subject = self.command or (self.silence.id if self.silence else self.kind)
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
