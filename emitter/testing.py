"""For tests of trainers, and our own: what was emitted, without network, threads or waiting.

with emitter.testing.capture() as captured:
    train()
assert captured.named("train.step")[-1].attributes["loss"] < 1
"""

from __future__ import annotations

import base64
import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from emitter import _api
from emitter._clock import Clock
from emitter._ranks import identify
from emitter._records import LOGS, Fate, Log, Outcome, Payload, Span
from emitter._session import Session
from emitter._settings import resolve
from emitter.otlp import decode
from emitter.signing import PublicKey, ed25519
from emitter.signing.trusted import public_key
from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.commands import Ack, Command


class ManualClock(Clock):
    """A clock that stands still until it is advanced; starts at 2026-01-01T00:00:00Z."""

    def __init__(self, unix_s: float = 1_767_225_600.0) -> None:
        self._now_ns = 1_000_000_000
        super().__init__(lambda: int(unix_s * 1e9), lambda: self._now_ns)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ns += int(seconds * 1e9)


class MemoryExporter:
    """Keeps what it is given. ``outcomes`` are answers to give first, one a payload."""

    target = "memory"

    def __init__(self) -> None:
        self.received: list[Log] = []
        self.received_spans: list[Span] = []
        self.outcomes: list[Outcome] = []

    def send(self, payload: Payload) -> Outcome:
        """Keep what the payload holds, unless another answer is due."""
        outcome = self.outcomes.pop(0) if self.outcomes else Outcome(Fate.SENT)
        if outcome.fate is Fate.SENT and payload.signal == LOGS:
            self.received += decode.logs(payload.body)
        elif outcome.fate is Fate.SENT:
            self.received_spans += decode.spans(payload.body)
        return outcome

    def close(self) -> None:
        """Nothing to release."""


class OwnPair:
    """A key pair that is made when it is first needed, and the one that is trusted."""

    def __init__(self) -> None:
        self._private = b""
        self._public: PublicKey | None = None

    def find(self, wanted: str) -> PublicKey | None:
        """The public key, if it is this one's id."""
        return self._public if self._public is not None and self._public.id == wanted else None

    def headers(self, payload: bytes) -> dict[str, bytes]:
        """Key id and signature of exactly these bytes."""
        if self._public is None:
            self._private, raw = ed25519.generate()
            self._public = public_key(raw, "capture")
        signature = base64.b64encode(ed25519.sign(self._private, payload))
        return {topics.HEADER_KEY_ID: self._public.id.encode(), topics.HEADER_SIGNATURE: signature}


class Captured:
    """What a session emitted; reading it sends first what waits."""

    def __init__(self, session: Session, exporter: MemoryExporter) -> None:
        self.session, self.exporter = session, exporter
        self.acks: list[Ack] = []
        self._numbers = itertools.count()
        self.sign: Callable[[bytes], dict[str, bytes]] = lambda payload: {}
        """Makes the headers that go with a message."""
        session.commander.send = self.acks.append

    @property
    def logs(self) -> list[Log]:
        """All log records, in the order they were sent."""
        self.session.sender.turn()
        return self.exporter.received

    @property
    def spans(self) -> list[Span]:
        """All finished spans."""
        self.session.sender.turn()
        return self.exporter.received_spans

    def named(self, name: str) -> list[Log]:
        """The log records of this event name."""
        return [log for log in self.logs if log.name == name]

    def command(self, action: str, **fields: Any) -> Command:
        """Send a command to this session, as if it came from Kafka; ``fields`` override its defaults."""
        now_ns = self.session.clock.unix_ns()
        identity = self.session.identity
        command = Command(
            **{
                "id": f"command-{next(self._numbers)}",
                "run": identity.run,
                "action": action,
                "issued": cloudevents.rfc3339(now_ns),
                "expires": cloudevents.rfc3339(now_ns + 600 * 10**9),
                "attempt": identity.attempt,
                **fields,
            }
        )
        payload = command.encode()
        self.deliver(payload, self.sign(payload))
        return command

    def deliver(self, payload: bytes, headers: Mapping[str, bytes], key: bytes | None = None) -> None:
        """Hand over a message as it would come from Kafka."""
        self.session.commander.receive(payload, next(self._numbers), headers, key)

    def states(self, command: Command) -> list[str]:
        """The states that a command was acknowledged with, in order."""
        return [ack.state for ack in self.acks if ack.command == command.id]


@contextlib.contextmanager
def capture(run: str = "test", *, clock: Clock | None = None, **settings: Any) -> Iterator[Captured]:
    """Run a session that keeps everything in memory. Hooks, logs and resources are off unless asked for.

    The environment is not read. Raises RuntimeError inside another session.
    """
    if _api._session is not None:
        raise RuntimeError("capture: expected no session, but init was called; call emitter.shutdown() first")
    quiet = {"hooks": False, "logs": False, "resources": False, "spool": "off", "supervised": True}
    resolved = resolve({"run": run, "run_id": run, **quiet, **settings}, environ={})
    exporter = MemoryExporter()
    session = Session(
        resolved, identify(resolved, environ={}), _api._handlers, _api._tunables,
        clock=clock, exporter=exporter, threads=False, hot=_api._hot,
    )  # fmt: skip
    captured = Captured(session, exporter)
    if resolved.trusted_keys is None:
        session.commander.trusted = pair = OwnPair()
        captured.sign = pair.headers
    session.start()
    _api.use(session)
    try:
        yield captured
    finally:
        _api.shutdown()
        session.sender.turn()
