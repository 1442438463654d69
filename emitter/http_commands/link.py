"""Feeds a Commander from a gateway: one thread asks for commands, another sends what became of them."""

from __future__ import annotations

import base64
import contextlib
import http.client
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from emitter import _quiet
from emitter._commands import Commander
from emitter._guard import guard, logger
from emitter.http_commands.client import Client
from emitter.vocabulary import cloudevents, commands
from emitter.vocabulary.commands import Ack

OUTBOX: Final = 1024
POLL_S: Final = 25.0
"""How long the gateway holds a request for which there is nothing yet."""
TIMEOUT_S: Final = 35.0
FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 10.0
STOP_S: Final = 1.0

_FAILURES: Final = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError)


class HttpLink:
    """A gateway that is away costs one warning; the link keeps trying for ever."""

    def __init__(self, url: str, token: str | None, commander: Commander, run: str, rank: int) -> None:
        self._url, self._run_id, self._rank, self._commander = url, run, rank, commander
        self._asking, self._telling = (Client(url, token, TIMEOUT_S) for _ in range(2))
        self._outbox: deque[Ack] = deque(maxlen=OUTBOX)
        self._more = threading.Event()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._cursor = ""
        self._knows_past = False
        self._warned = False

    def start(self) -> None:
        """Begin to listen in the background."""
        for name, work, client in (
            ("commands", self._read, self._asking), ("acks", self._write, self._telling),
        ):  # fmt: skip
            thread = threading.Thread(
                target=self._run, args=(work, client), name=f"trainwarden-{name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def send(self, ack: Ack) -> None:
        """Queue an acknowledgement; from any thread."""
        self._outbox.append(ack)
        self._more.set()

    def expect(self) -> None:
        """A command may come soon: the request that waits at the gateway is all it takes."""

    def close(self, timeout_s: float) -> None:
        """Send the acknowledgements that wait, for at most this long, and stop."""
        ends = time.monotonic() + timeout_s
        self._closing.set()
        self._more.set()
        self._asking.close()
        if self._threads:
            reading, writing = self._threads
            writing.join(max(0.0, ends - STOP_S - time.monotonic()))
            self._telling.close()
            for thread in (reading, writing):
                thread.join(STOP_S / 2)

    def _run(self, work: Callable[[], bool], client: Client) -> None:
        """Until closing: one turn after the other, with longer and longer rests while they fail."""
        _quiet.ours()
        # An own source of chance: the trainer's random state is not ours to advance.
        chance, wait_s = random.SystemRandom(), FIRST_WAIT_S
        try:
            while True:
                with guard:
                    if self._turn(work):
                        wait_s = FIRST_WAIT_S
                        if self._done(work):
                            return
                        continue
                if self._closing.is_set():
                    return
                self._closing.wait(wait_s * chance.uniform(0.8, 1.2))
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        finally:
            client.drop()
            _quiet.done()

    def _done(self, work: Callable[[], bool]) -> bool:
        return self._closing.is_set() and (work != self._write or not self._outbox)

    def _turn(self, work: Callable[[], bool]) -> bool:
        """Whether it went well."""
        try:
            if work() and self._warned:
                self._warned = False
                logger.info("commands are read again from %s", self._url)
        except _FAILURES as error:
            if not self._warned and not self._closing.is_set():
                self._warned = True
                logger.warning(
                    "cannot read commands from %s (%s: %s); training goes on, trying again in the background",
                    self._url, type(error).__name__, error,
                )  # fmt: skip
            return False
        return True

    def _read(self) -> bool:
        if not self._knows_past:
            self._learn_outcomes()
        answer = self._ask("/v1/commands", self._cursor, POLL_S)
        for message in answer["messages"]:
            self._deliver(message)
        self._cursor = str(answer["cursor"])
        return True

    def _deliver(self, message: Mapping[str, Any]) -> None:
        headers = {str(name): _bytes(value) for name, value in message["headers"].items()}
        position = (int(message["partition"]), int(message["offset"]), int(message["timestamp"]))
        key = None if message.get("key") is None else _bytes(message["key"])
        self._commander.receive(_bytes(message["value"]), position, headers, key)

    def _learn_outcomes(self) -> None:
        """What a predecessor with the same run and attempt has already ended or begun is not run again."""
        cursor, more = "", True
        while more:
            answer = self._ask("/v1/acks", cursor, 0)
            for message in answer["messages"]:
                with contextlib.suppress(cloudevents.CloudEventError):
                    self._learn(commands.decode_ack(_bytes(message["value"])))
            cursor, more = str(answer["cursor"]), bool(answer["messages"])
        self._knows_past = True

    def _learn(self, ack: Ack) -> None:
        if ack.run == self._run_id and ack.rank == self._rank and ack.executor == "emitter":
            self._commander.recall(ack)

    def _ask(self, path: str, cursor: str, wait_s: float) -> Any:
        query = urlencode({"run": self._run_id, "after": cursor, "wait": wait_s})
        return self._asking.ask("GET", f"{path}?{query}")

    def _write(self) -> bool:
        """One at a time, so that the stages of a command arrive in order."""
        self._more.wait()
        self._more.clear()
        while self._outbox:
            ack = self._outbox[0]
            try:
                self._telling.ask("POST", "/v1/acks", ack.encode(), cloudevents.CONTENT_TYPE)
            except BaseException:
                self._more.set()
                raise
            with contextlib.suppress(IndexError, ValueError):
                self._outbox.remove(ack)
        return True


def _bytes(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)
