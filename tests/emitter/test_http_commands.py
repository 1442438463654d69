"""Commands by way of a real gateway on a real broker, and by way of one that lies."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import emitter
from emitter.vocabulary import topics
from emitter.vocabulary.commands import Command
from tests.emitter import kafka_side
from tests.emitter.receiver import Receiver
from tests.fixtures import Child, free_port, http_request, start_gateway, wait_for

pytestmark = pytest.mark.slow

DONE = ["received", "scheduled", "running", "succeeded"]


class Between:
    """Passes requests on to the gateway and changes what comes back."""

    def __init__(self, gateway: str, change: Callable[[bytes], bytes]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._pass(None)

            def do_POST(self) -> None:
                self._pass(self.rfile.read(int(self.headers["Content-Length"])))

            def _pass(self, body: bytes | None) -> None:
                far = HTTPConnection(urlsplit(gateway).netloc, timeout=60)
                try:
                    far.request(
                        self.command, self.path, body, {"content-type": self.headers.get_content_type()}
                    )
                    answer = far.getresponse()
                    content = change(answer.read())
                finally:
                    far.close()
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Between:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def run() -> Iterator[str]:
    """A run id of one's own; its session ends with the test."""
    yield uuid.uuid4().hex
    emitter.shutdown()


def begin(run: str, url: str, receiver: Receiver) -> list[Command]:
    """A session that reads commands from this gateway; what its ``save`` was called with."""
    seen: list[Command] = []
    emitter.on("save")(seen.append)
    emitter.init(
        run, run_id=run, endpoint=receiver.url, commands=url, resources=False, logs=False, hooks=False,
        shutdown_s=60.0,
    )  # fmt: skip
    return seen


def train_until(condition: Callable[[], Any]) -> None:
    """Step until it holds."""

    def step() -> bool:
        emitter.step(None, loss=1.0)
        return bool(condition())

    wait_for(step, 60, "the command")


def test_a_command_comes_and_its_acks_go(broker: str, gateway: str, run: str, receiver: Receiver) -> None:
    """A trainer that knows only the gateway is told, once, and answers at every stage; then it waits on."""
    seen = begin(run, gateway, receiver)
    first = kafka_side.command(run, "save", args={"kind": "forensic"})
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, first)
    train_until(lambda: seen)
    assert seen == [first]
    assert [ack.state for ack in kafka_side.acks_until(broker, run)] == DONE

    began = time.monotonic()
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
    train_until(lambda: seen[1:])
    assert time.monotonic() - began < 20, "the poll was answered at its end, not when there was something"
    began = time.monotonic()
    emitter.shutdown()
    assert time.monotonic() - began < 20
    assert [ack.state for ack in kafka_side.acks_until(broker, run, 2)] == DONE * 2


def test_a_restarted_process_does_not_run_it_again(
    broker: str, gateway: str, run: str, receiver: Receiver
) -> None:
    """What a predecessor acknowledged is asked for first; only what is new runs."""
    seen = begin(run, gateway, receiver)
    old, new = kafka_side.command(run, "save"), kafka_side.command(run, "save")
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, old)
    train_until(lambda: seen)
    emitter.shutdown()
    kafka_side.acks_until(broker, run)

    seen = begin(run, gateway, receiver)
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, new)
    train_until(lambda: seen)
    assert seen == [new]


def test_a_gateway_that_alters_a_byte_is_not_obeyed(
    broker: str, gateway: str, run: str, receiver: Receiver
) -> None:
    """Its word is refused, and the refusal reaches Kafka; the true command is obeyed later."""
    lies = threading.Event()
    lies.set()

    def change(content: bytes) -> bytes:
        answer = json.loads(content)
        for message in (answer or {}).get("messages", []) if lies.is_set() else []:
            # One letter of the Base64, in the middle of the signed text.
            text = message["value"]
            place = len(text) // 2
            message["value"] = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        return json.dumps(answer).encode()

    with Between(gateway, change) as between:
        seen = begin(run, between.url, receiver)
        kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
        refused = kafka_side.acks_until(broker, run)
        assert {(ack.state, ack.reason) for ack in refused} <= {
            ("rejected", "bad_signature"), ("rejected", "unreadable"),
        }  # fmt: skip
        emitter.step(0, loss=1.0)
        assert seen == []
        lies.clear()
        kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
        train_until(lambda: seen)
        assert len(seen) == 1
        emitter.shutdown()


def test_gateway_restarts(broker: str, tmp_path: Path, run: str, receiver: Receiver) -> None:
    """While it is away training goes on; afterwards its commands come, and none comes twice."""
    port = free_port()
    first, url = start_gateway(tmp_path / "1.log", broker, port=port)
    try:
        seen = begin(run, url, receiver)
        kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save", id=f"{run}-1"))
        train_until(lambda: seen)
    finally:
        first.kill()
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save", id=f"{run}-2"))
    second, _ = start_gateway(tmp_path / "2.log", broker, port=port)
    try:
        train_until(lambda: len(seen) > 1)
        kafka_side.acks_until(broker, run, 2)
        assert [command.id for command in seen] == [f"{run}-1", f"{run}-2"]
        emitter.shutdown()
    finally:
        assert second.stop() == 0


def test_a_dead_gateway_costs_one_warning(
    run: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Training goes on, telemetry flows, shutdown is bounded."""
    with caplog.at_level(logging.WARNING):
        begin(run, f"http://127.0.0.1:{free_port()}", receiver)
        wait_for(lambda: "cannot read commands from" in caplog.text, what="the warning")
        for step in range(50):
            emitter.step(step, loss=1.0)
        began = time.monotonic()
        emitter.shutdown()
        assert time.monotonic() - began < 20
    said = [record.getMessage() for record in caplog.records if record.name == "emitter"]
    assert len(said) == 1
    assert "training goes on, trying again in the background" in said[0]


def test_a_token_is_asked_for(
    broker: str, tmp_path: Path, run: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Without it the gateway says what is missing, once; with it commands come."""
    child, url = start_gateway(tmp_path / "gateway.log", broker, token="s3cret")
    try:
        assert http_request("GET", f"{url}/v1/commands?run={run}").status == 401
        begin(run, url, receiver)
        wait_for(
            lambda: "it answered 401 Authorization: expected `Bearer`" in caplog.text, what="the warning"
        )
        emitter.shutdown()

        monkeypatch.setenv("TRAINWARDEN_COMMANDS_TOKEN", "s3cret")
        seen = begin(run, url, receiver)
        kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))
        train_until(lambda: seen)
        assert "s3cret" not in caplog.text + child.log()
    finally:
        emitter.shutdown()
        child.kill()


def test_needs_nothing_but_the_base(tmp_path: Path, gateway: str) -> None:
    """Neither aiokafka nor anything else of an extra is imported."""
    code = f"""
import sys, emitter
emitter.init("base", run_id="base", endpoint="file:{tmp_path}", commands="{gateway}", resources=False)
emitter.step(0, loss=1.0)
emitter.shutdown()
sys.exit(bool({{"aiokafka", "aiohttp", "requests"}} & set(sys.modules)))
"""
    child = Child([sys.executable, "-c", code], tmp_path / "log")
    assert child.process.wait(60) == 0, child.log()
