"""What people decide: signed words on ``remediation.control``, and what the arbiter makes of them."""

from __future__ import annotations

import getpass
import secrets
import socket
import time
from typing import Final

from emitter.vocabulary import cloudevents, control, topics
from emitter.vocabulary.control import Control, RunMode, Silence
from stream.keys import Signer
from stream.ledger import topics as feeds
from stream.ledger.book import Book, Record, command_id
from stream.ledger.errors import NotHeldError
from stream.ledger.story import resolve, standing
from stream.ledger.topics import Feed
from stream.records import Outgoing

WAIT_S: Final = 15.0
"""How long an arbiter may take to say what it made of a word."""


def author() -> str:
    """Who speaks, as the ledger will name them."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return socket.gethostname()


def check_held(book: Book, wanted: str) -> str:
    """The id of the command that waits. Raises UnknownIdError, AmbiguousIdError, NotHeldError."""
    known = {c for d in book.decisions.values() if (c := command_id(d))} | set(book.commands)
    command = resolve(book, wanted, "command", known)
    newest = standing(book, command)
    if newest is None:
        raise NotHeldError(f"command {command} was sent by hand and does not wait for approval")
    if newest["decision"] != "held":
        raise NotHeldError(_not_held(command, newest))
    return command


def _not_held(command: str, newest: Record) -> str:
    what, when = newest["decision"], newest["time"]
    reason = f" ({newest['reason']})" if newest.get("reason") else ""
    if what in ("sent", "resent", "approved"):
        by = f" by {newest['author']}" if newest.get("author") else ""
        said = f"was {'approved' if what == 'approved' else 'sent'}{by} at {when}"
    elif what == "expired":
        said = f"expired at {when}{reason}"
    else:
        said = f"already ended at {when}: {what}{reason}"
    return f"command {command} {said}; `trainwarden commands why {command}` tells all of it"


def approve(command: str, who: str, reason: str | None = None) -> Control:
    """Let it go out."""
    return _said(control.APPROVE, who, command=command, reason=reason)


def reject(command: str, who: str, reason: str | None = None) -> Control:
    """Never let it go out."""
    return _said(control.REJECT, who, command=command, reason=reason)


def reset_breaker(who: str, trip: str, reason: str | None = None) -> Control:
    """Let remediation act again; ``trip`` is the command by which the breaker was tripped."""
    return _said(control.RESET_BREAKER, who, command=trip, reason=reason)


def tripped(book: Book) -> str | None:
    """The command by which the breaker was tripped that is open now; None where none is, as far as known."""
    about = [d for d in book.decisions.values() if d["decision"] in ("breaker_tripped", "breaker_reset")]
    newest = max(about, key=lambda decision: str(decision["time"]), default=None)
    if newest is None or newest["decision"] != "breaker_tripped":
        return None
    return str(newest["detail"]["command"])


def run_mode(who: str, run: str, mode: str | None, ends_ns: int, reason: str | None = None) -> Control:
    """The runs like this act no more freely than this mode, until then; without a mode: as before."""
    ends = cloudevents.rfc3339(ends_ns) if mode is not None else None
    return _said(control.MODE, who, reason=reason, run_mode=RunMode(run, mode, ends))


def silence(
    who: str, ends_ns: int, run: str | None = None, rule: str | None = None, comment: str | None = None
) -> Control:
    """Nothing is done about what matches, until then."""
    quiet = Silence(secrets.token_hex(6), run, rule, cloudevents.rfc3339(ends_ns), comment)
    return _said(control.SILENCE, who, silence=quiet)


def unsilence(who: str, identity: str, reason: str | None = None) -> Control:
    """A silence ends now."""
    return _said(control.UNSILENCE, who, reason=reason, silence=Silence(identity))


def _said(kind: str, who: str, **more: object) -> Control:
    return Control(kind=kind, author=who, time=cloudevents.rfc3339(time.time_ns()), **more)  # type: ignore[arg-type]


def record(word: Control, signer: Signer) -> Outgoing:
    """The signed record of a word."""
    value = word.encode()
    headers = [*cloudevents.HEADERS, *signer.headers(value)]
    return Outgoing(topics.REMEDIATION_CONTROL, value, (word.command or "").encode() or None, 0, headers)


async def say(kafka: str, word: Control, signer: Signer, wait_s: float = WAIT_S) -> Record | None:
    """Say it, and what the arbiter decided about it; None where nobody decided in time.

    Raises UnreachableError.
    """
    answers: list[Record] = []

    def seen(kind: str, data: Record) -> None:
        if kind == "decision" and _is_answer(data, word):
            answers.append(data)

    async with Feed(kafka, (topics.REMEDIATION_INTENTS,), past=False) as feed:
        await feeds.write(kafka, record(word, signer))
        if wait_s > 0:
            await feeds.follow(feed, seen, lambda: bool(answers), wait_s)
    return answers[0] if answers else None


def _is_answer(decision: Record, word: Control) -> bool:
    if str(decision["id"]).startswith(f"control/{word.id}/"):
        return True
    ended = {control.APPROVE: "approved", control.REJECT: "rejected"}.get(word.kind)
    return (
        ended is not None
        and decision["id"] == f"{word.command}/{ended}"
        and decision.get("author") == word.author
    )
