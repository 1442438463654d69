"""Commands for trainers that cannot reach Kafka: long polls, and acknowledgements back.

    GET  /v1/commands?run=RUN&after=CURSOR&wait=SECONDS    what the topic holds for a run, byte for byte
    GET  /v1/acks?run=RUN&after=CURSOR&wait=SECONDS        what was acknowledged up to this moment
    POST /v1/acks                                          one acknowledgement, as it goes to Kafka

The gateway checks no signature and makes none: trainers do not trust it.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from emitter._endpoints import is_loopback
from emitter.vocabulary import cloudevents, commands, topics
from stream.gateway.errors import MalformedError, TooLargeError, UnauthorizedError
from stream.gateway.forward import Forwarder
from stream.gateway.tape import Entry, Tape

LONGEST_WAIT_S: Final = 30.0
LARGEST_ACK: Final = 256 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Relay:
    """The routes; a token is needed wherever the gateway can be reached from other machines."""

    def __init__(self, kafka: str, host: str, token: str | None, forwarder: Forwarder) -> None:
        self._tapes = [Tape(kafka, name) for name in (topics.REMEDIATION_COMMANDS, topics.REMEDIATION_ACKS)]
        self._token, self._open, self._forwarder = token, is_loopback(host), forwarder

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        sent, answered = self._tapes
        app.router.add_get("/v1/commands", self._guarded(self._taking(sent, fresh=False)))
        app.router.add_get("/v1/acks", self._guarded(self._taking(answered, fresh=True)))
        app.router.add_post("/v1/acks", self._guarded(self._answer))

    async def close(self) -> None:
        """Answer those who wait."""
        for tape in self._tapes:
            await tape.close()

    def _guarded(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if self._token is None and not self._open:
                raise UnauthorizedError(
                    "commands are handed out on the loopback only, unless the gateway has a token: "
                    "set TRAINWARDEN_GATEWAY_TOKEN for it, and TRAINWARDEN_COMMANDS_TOKEN for trainers"
                )
            given = request.headers.get("Authorization", "").encode()
            if self._token is not None and not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                raise UnauthorizedError("Authorization: expected `Bearer` and the gateway's token")
            return await handler(request)

        return handle

    def _taking(self, tape: Tape, *, fresh: bool) -> Handler:
        async def take(request: web.Request) -> web.Response:
            run = request.query.get("run")
            if not run:
                raise MalformedError("run: expected the id of a run, as in /v1/commands?run=RUN")
            wait_s, after = _wait_s(request), request.query.get("after", "")
            found, cursor = await tape.take(run, after, wait_s, fresh=fresh)
            return web.json_response({"cursor": cursor, "messages": [_shown(entry) for entry in found]})

        return take

    async def _answer(self, request: web.Request) -> web.Response:
        if (request.content_length or 0) > LARGEST_ACK:
            raise TooLargeError(f"body: expected at most {LARGEST_ACK} bytes, got {request.content_length}")
        payload = await request.content.read(LARGEST_ACK + 1)
        while not request.content.at_eof() and len(payload) <= LARGEST_ACK:
            payload += await request.content.read(LARGEST_ACK + 1 - len(payload))
        if len(payload) > LARGEST_ACK:
            raise TooLargeError(f"body: expected at most {LARGEST_ACK} bytes, got more")
        try:
            ack = commands.decode_ack(payload)
        except cloudevents.CloudEventError as error:
            raise MalformedError(f"body: {error}") from None
        if not isinstance(ack.run, str):
            raise MalformedError(f"body: ack: expected `run` to be a string, got {ack.run!r}")
        await self._forwarder.send(
            topics.REMEDIATION_ACKS, [payload], ack.run.encode(), headers=cloudevents.HEADERS
        )
        return web.json_response({})


def _wait_s(request: web.Request) -> float:
    text = request.query.get("wait", "0")
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s < 1e6:
        raise MalformedError(f"wait: expected a number of seconds, got {text[:50]!r}")
    return min(wait_s, LONGEST_WAIT_S)


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "partition": entry.partition, "offset": entry.offset, "timestamp": entry.timestamp,
        "key": None if entry.key is None else _text(entry.key), "value": _text(entry.value),
        "headers": {name: _text(value) for name, value in entry.headers},
    }  # fmt: skip


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
