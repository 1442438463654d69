"""Incidents in the viewer, and the word of the person who sits before it: approve or reject."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from stream.history import ledger
from stream.keys import Signer
from stream.ledger import story, words
from stream.ledger.book import Book, Record, command_id
from stream.ledger.errors import LedgerError, UnreachableError
from stream.web import peers
from stream.web.store import Store

HEADER: Final = "X-Trainwarden"
"""No form and no page of another origin can set it without being asked for leave first."""
SHOWN: Final = 100
WAIT_S: Final = 10.0
_ID: Final = re.compile(r"[0-9A-Za-z._-]{6,64}")


class DecidingError(RuntimeError):
    """The word is not said; ``status`` is that of the answer."""

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Operator:
    """For whom the viewer signs."""

    signer: Signer
    kafka: str
    author: str


@dataclass(frozen=True)
class Seat:
    """Who sits before the page, if the viewer was started for somebody."""

    operator: Operator | None = None


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """What the page posts."""

    command: str
    verdict: str
    reason: str = ""


_decoder = msgspec.json.Decoder(Verdict)
_MAKERS: Final = {"approve": words.approve, "reject": words.reject}


async def page(store: Store, operator: Operator | None, request: web.Request) -> Record:
    """What waits, the newest incidents, and whether the one who asks may decide."""
    book = await _read(store, ledger.waiting(), ledger.incidents(limit=SHOWN))
    return {
        "operator": _may(operator, request),
        "waiting": [_waiting(one, book) for one in story.held(book)],
        "incidents": sorted(book.incidents.values(), key=lambda one: str(one["began"]), reverse=True),
    }


async def count(store: Store) -> int:
    """How many commands wait for a person."""
    return len(story.held(await _read(store, ledger.waiting())))


async def tell(store: Store, identity: str) -> Record:
    """The story of one id. Raises DecidingError."""
    if not _ID.fullmatch(identity):
        raise DecidingError(f"id: expected 6 to 64 letters and digits, got {identity!r:.80}", 400)
    book = await asyncio.to_thread(ledger.about, _asker(store), identity)
    try:
        return story.tell(book, identity).to_json()
    except LedgerError as error:
        raise DecidingError(str(error), 404) from None


async def decide(store: Store, operator: Operator | None, request: web.Request) -> Record:
    """Sign and say what the page posted; what the arbiter made of it. Raises DecidingError."""
    _check_request(request)
    why_not = _why_not(operator, request)
    if operator is None or why_not is not None:
        raise DecidingError(str(why_not))
    try:
        wish = _decoder.decode(await request.read())
    except msgspec.MsgspecError as error:
        raise DecidingError(f"expected a command and a verdict: {error}", 400) from None
    if wish.verdict not in _MAKERS or not _ID.fullmatch(wish.command):
        raise DecidingError("expected the id of a command, and `approve` or `reject`", 400)
    reason = wish.reason.strip()[:2000] or None
    if wish.verdict == "reject" and reason is None:
        raise DecidingError("a rejection says why, for those who read the ledger", 400)
    try:
        command = words.check_held(await _read(store, ledger.waiting()), wish.command)
        word = _MAKERS[wish.verdict](command, operator.author, reason)
        answer = await words.say(operator.kafka, word, operator.signer, WAIT_S)
    except UnreachableError as error:
        raise DecidingError(str(error), 503) from None
    except LedgerError as error:
        raise DecidingError(str(error), 409) from None
    return {"author": operator.author, "answer": answer}


def _may(operator: Operator | None, request: web.Request) -> Record:
    why_not = _why_not(operator, request)
    return {"may": why_not is None, "author": operator.author if operator else None, "why": why_not}


def _why_not(operator: Operator | None, request: web.Request) -> str | None:
    """Why nothing may be decided from here, or None."""
    if operator is None:
        return "this viewer was started without an operator's key (`trainwarden view --operator-key FILE`)"
    uid = peers.user_of(request.transport)
    if uid is None:
        return "only who sits at the machine of this viewer may decide here, over its loopback address"
    if not peers.may_act_for_us(uid):
        return f"this viewer signs for {operator.author}, not for {peers.name_of(uid)}"
    return None


def _check_request(request: web.Request) -> None:
    """Our own page alone may make a browser post. Raises DecidingError."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin") or origin not in (None, f"{request.scheme}://{request.host}"):
        raise DecidingError("another site may not decide here")
    if HEADER not in request.headers or request.content_type != "application/json":
        raise DecidingError(f"expected JSON, and the header {HEADER}", 400)


def _waiting(decision: Record, book: Book) -> Record:
    incident = book.incidents.get(str(decision.get("incident")), {})
    command = decision.get("command")
    known = command if isinstance(command, dict) else {}
    cause = incident.get("cause") or {}
    summary = (known.get("reason") or {}).get("summary") or cause.get("summary")
    names = ("action", "run", "run_name", "attempt", "rule", "rule_version", "severity", "incident", "time")
    return {
        "command": command_id(decision),
        "summary": summary,
        "args": {name: value for name, value in (known.get("args") or {}).items() if value is not None},
        **{name: decision.get(name) for name in names},
    }


async def _read(store: Store, *queries: ledger.Query) -> Book:
    book = Book()
    for query, rows in zip(
        queries, await asyncio.gather(*(_rows(store, one) for one in queries)), strict=True
    ):
        for row in rows:
            book.add(query.kind, ledger.record_of(query.kind, row))
    return book


async def _rows(store: Store, query: ledger.Query) -> list[Record]:
    columns = await store.query(query.sql, query.parameters)
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*(c.values for c in columns), strict=True)]


def _asker(store: Store) -> ledger.Run:
    """For a thread that asks while this loop goes on."""
    loop = asyncio.get_running_loop()

    def ask(query: ledger.Query) -> Iterable[dict[str, Any]]:
        return asyncio.run_coroutine_threadsafe(_rows(store, query), loop).result()

    return ask
