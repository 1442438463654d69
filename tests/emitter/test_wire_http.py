"""OTLP over HTTP on real sockets: what servers answer, how connections end, proxies, TLS, compression."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

import emitter
from emitter import _api
from emitter._records import LOGS, TRACES, Fate, Outcome, Payload
from emitter.otlp.http_exporter import HttpExporter
from tests.emitter.receiver import Receiver
from tests.fixtures import free_port, wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
PAYLOAD = Payload(LOGS, b"\x0a\x00", 3)


class Server:
    """Answers each request with the next of ``answers``, byte for byte; None closes without an answer.

    ``keep`` leaves the connection open; ``early`` answers before the body was read. ``requests`` are what
    came: head and body; ``connections`` were opened and ``closed`` so many of them.
    """

    def __init__(self, *answers: bytes | None, keep: bool = True, early: bool = False) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0
        self.closed = 0
        self._keep, self._early = keep, early
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while self.answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(10)
                while self.answers and self._answer(connection, stream):
                    pass
            self.closed += 1

    def _answer(self, connection: socket.socket, stream: object) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()  # type: ignore[attr-defined]
            if not line:
                return False
            head += line
        size = next(int(line[16:]) for line in head.lower().splitlines() if line[:15] == b"content-length:")
        body = b"" if self._early else stream.read(size)  # type: ignore[attr-defined]
        self.requests.append((head.decode(), body))
        answer = self.answers.pop(0)
        if answer is None:
            return False
        connection.sendall(answer)
        return self._keep


def send(*answers: bytes | None, times: int = 1, timeout_s: float = 5.0) -> list[Outcome]:
    with Server(*answers) as server, closing(server.port, timeout_s) as exporter:
        return [exporter.send(PAYLOAD) for _ in range(times)]


@contextmanager
def closing(port: int, timeout_s: float | None = 5.0, path: str = "/v1/logs") -> Iterator[HttpExporter]:
    url = f"http://127.0.0.1:{port}"
    exporter = HttpExporter(f"{url}{path}", f"{url}/v1/traces", timeout_s)
    try:
        yield exporter
    finally:
        exporter.close()


def test_request_is_plain_http() -> None:
    """Path and query of the URL, OTLP's content type, the right length, a user agent."""
    with Server(OK) as server, closing(server.port, path="/a/v1/logs?tenant=x") as exporter:
        assert exporter.send(PAYLOAD) == Outcome(Fate.SENT)
        head, body = server.requests[0]

    lines = head.lower().split("\r\n")
    assert head.startswith("POST /a/v1/logs?tenant=x HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}" in lines
    assert {"content-type: application/x-protobuf", "content-length: 2"} <= set(lines)
    assert any(line.startswith("user-agent: trainwarden") for line in lines)
    assert body == PAYLOAD.body


def test_connection_is_kept() -> None:
    """Many requests go over one connection."""
    with Server(*[OK] * 20) as server, closing(server.port) as exporter:
        for _ in range(20):
            assert exporter.send(PAYLOAD).fate is Fate.SENT

    assert (server.connections, len(server.requests)) == (1, 20)


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\nContent-Type: text/json\r\nContent-Length: 21\r\n\r\n{"partialSuccess":{}}',
        b"HTTP/1.1 200\nContent-Length: 0\n\n",
    ],
    ids=["empty", "no content", "chunked", "continue", "json", "bare newlines"],
)
def test_all_forms_of_success(answer: bytes) -> None:
    """Whatever form a server gives its answer, the connection is ready for the next request."""
    assert send(answer, OK, times=2) == [Outcome(Fate.SENT)] * 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_connection_that_the_server_ends_is_opened_again(answer: bytes) -> None:
    """Connection: close, and HTTP/1.0."""
    with Server(answer, answer, keep=False) as server, closing(server.port) as exporter:
        assert [exporter.send(PAYLOAD).fate for _ in range(2)] == [Fate.SENT] * 2
        assert server.connections == 2


def test_kept_connection_that_grew_old_is_replaced_at_once() -> None:
    """A server that closed an idle connection costs no warning and no waiting time."""
    with Server(OK, OK, keep=False) as server, closing(server.port) as exporter:
        assert exporter.send(PAYLOAD).fate is Fate.SENT
        wait_for(lambda: server.closed, what="the server to close the connection")
        assert exporter.send(PAYLOAD).fate is Fate.SENT
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "ClosedError: the connection was closed without an answer"),
        (b"SSH-2.0-OpenSSH\r\n", "BadAnswerError: not an HTTP answer"),
        (b"HTTP/1.1 abc\r\n\r\n", "BadAnswerError: not an HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "BadAnswerError: not an HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "BadAnswerError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "BadAnswerError: an answer of 9999999999"),
        (b"x" * 70000, "BadAnswerError: a line of the answer's head is too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"h%d: b\r\n" % number for number in range(400)) + b"\r\n",
         "BadAnswerError: not an HTTP answer: too many headers"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_tried_again_later(answer: bytes | None, why: str) -> None:
    """A server that speaks something else, or too much, is a broken line, and the reason says so."""
    (outcome,) = send(answer)

    assert outcome.fate is Fate.RETRY
    assert outcome.why.startswith(why)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize(
    ("after", "low", "high"),
    [("7", 7, 7), ("in 100 s", 80, 101), ("soon", None, None), ("-3", None, None), ("inf", None, None),
     (formatdate(0, usegmt=True), 0, 0)],
)  # fmt: skip
def test_retryable_statuses(status: int, after: str, low: float | None, high: float | None) -> None:
    """Retry-After in seconds or as a date; nonsense counts as none."""
    if after == "in 100 s":
        after = formatdate(time.time() + 100, usegmt=True)
    answer = f"HTTP/1.1 {status} Busy\r\nRetry-After: {after}\r\nContent-Length: 0\r\n\r\n".encode()
    (outcome,) = send(answer)

    assert (outcome.fate, outcome.why) == (Fate.RETRY, f"HTTP {status} Busy")
    assert outcome.wait_s == low if low is None or high is None else low <= (outcome.wait_s or 0) <= high


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "HTTP 400 Bad Request"),
        (b"HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n", "HTTP 500"),
        (b"HTTP/1.1 308 Moved\r\nLocation: https://b/\r\nContent-Length: 0\r\n\r\n",
         "HTTP 308 Moved to https://b/, which is not followed"),
    ],
)  # fmt: skip
def test_other_statuses_are_refusals(answer: bytes, why: str) -> None:
    """The reason names the status; a redirect names its place."""
    assert send(answer) == [Outcome(Fate.REFUSED, why)]


def test_refusal_in_the_middle_of_a_large_request_is_read() -> None:
    """A server that answers 413 and closes before it has read all is understood."""
    answer = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with Server(answer, keep=False, early=True) as server, closing(server.port) as exporter:
        outcome = exporter.send(Payload(LOGS, b"x" * 200_000, 1))

    # Where the system has dropped the answer with the connection, it is a broken line.
    assert outcome.why == "HTTP 413 Too Large" or outcome.fate is Fate.RETRY


def test_partial_success_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Records that a receiver did not take are lost as refused; one warning says how many and why."""
    partial = ExportLogsPartialSuccess(rejected_log_records=2, error_message="too old")
    body = ExportLogsServiceResponse(partial_success=partial).SerializeToString()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with Server(*[answer] * 50) as server:
        emitter.init("run", endpoint=f"http://127.0.0.1:{server.port}", logs=False, resources=False)
        session = _api._session
        assert session is not None
        wait_for(lambda: len(server.requests) >= 1, what="a request")
        emitter.shutdown()
        requests = len(server.requests)

    assert session.queue.totals == {"refused": 2 * requests}
    (warning,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert warning == (
        f"http://127.0.0.1:{server.port} refused 2 records of a request (too old); they are counted as "
        "refused, training goes on"
    )


def test_timeout_ends_a_request_that_trickles() -> None:
    """An answer that comes byte by byte is given up when the time is over, not after each byte's time."""
    ready = threading.Event()

    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while not ready.wait(0.05):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        began = time.monotonic()
        with closing(listener.getsockname()[1], 0.5) as exporter:
            outcome = exporter.send(PAYLOAD)
        took = time.monotonic() - began
        ready.set()
        thread.join()

    assert outcome == Outcome(Fate.RETRY, "TimeoutError: timed out")
    assert took < 5


def test_close_ends_a_call_under_way() -> None:
    """close() from another thread lets a send that waits for its answer end."""
    outcomes: list[Outcome] = []
    with Receiver(hang=True) as receiver, closing(receiver.port, 60) as exporter:
        thread = threading.Thread(target=lambda: outcomes.append(exporter.send(PAYLOAD)))
        thread.start()
        wait_for(lambda: receiver.requests, what="the request")
        exporter.close()
        thread.join(10)
        assert not thread.is_alive()
        assert outcomes[0].fate is Fate.RETRY
        assert exporter.send(PAYLOAD).fate is Fate.RETRY


def test_nothing_listens() -> None:
    """The reason is the system's own."""
    with closing(free_port()) as exporter:
        outcome = exporter.send(PAYLOAD)

    assert outcome.fate is Fate.RETRY
    assert outcome.why.startswith("ConnectionRefusedError: ")


@pytest.mark.parametrize(
    ("variable", "value", "undo"),
    [("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", gzip.decompress),
     ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "deflate", zlib.decompress),
     ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none", bytes)],
)  # fmt: skip
def test_compression(
    variable: str, value: str, undo: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """gzip and deflate shrink the body and say so; none sends it as it is, whatever the general one says."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv(variable, value)
    body = b"loss" * 1000
    with Server(OK) as server, closing(server.port) as exporter:
        exporter.send(Payload(LOGS, body, 1))
        head, sent = server.requests[0]

    assert undo(sent) == body
    assert (f"content-encoding: {value}" in head) is (value != "none")


def test_user_and_password_of_the_url_go_into_a_header_only() -> None:
    """Credentials authenticate, and are shown nowhere."""
    with Server(OK) as server:
        url = f"http://us%40er:pa%3Ass@127.0.0.1:{server.port}"
        exporter = HttpExporter(f"{url}/v1/logs", f"{url}/v1/traces", 5)
        exporter.send(PAYLOAD)
        exporter.close()
        head, _ = server.requests[0]

    assert "authorization: Basic dXNAZXI6cGE6c3M=\r\n" in head
    assert f"host: 127.0.0.1:{server.port}\r\n" in head
    assert exporter.target == f"http://127.0.0.1:{server.port}"


def test_signals_have_their_own_places() -> None:
    """Logs and spans may go to two servers."""
    with Server(OK) as logs, Server(OK) as spans:
        exporter = HttpExporter(f"http://127.0.0.1:{logs.port}/l", f"http://127.0.0.1:{spans.port}/s", 5)
        exporter.send(PAYLOAD)
        exporter.send(Payload(TRACES, b"", 1))
        exporter.close()

    assert [server.requests[0][0].split()[1] for server in (logs, spans)] == ["/l", "/s"]
