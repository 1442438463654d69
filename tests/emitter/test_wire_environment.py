"""Every OTEL_* variable that concerns sending, in its general form and in that of each signal."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import emitter
from emitter import _api
from emitter._endpoints import find
from emitter._exporters import PerSignal, build
from emitter._records import LOGS, TRACES, Fate, Outcome, Payload
from emitter._settings import resolve
from emitter.otlp import connection, environment
from emitter.otlp.http_exporter import HttpExporter
from tests import certificates
from tests.emitter.receiver import Receiver
from tests.emitter.test_wire_http import OK, PAYLOAD, Server

SIGNALS = (LOGS, TRACES)
TLS_FILES = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")


def variable(signal: str, what: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}"


def places() -> tuple[str, str] | None:
    found = find(resolve({}))
    return None if found is None else (found.logs, found.spans)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ENDPOINT": "http://a:1"}, ("http://a:1/v1/logs", "http://a:1/v1/traces")),
        ({"ENDPOINT": "http://a:1/x/"}, ("http://a:1/x/v1/logs", "http://a:1/x/v1/traces")),
        ({"ENDPOINT": "http://a:1", "LOGS_ENDPOINT": "http://b:2/in"},
         ("http://b:2/in", "http://a:1/v1/traces")),
        ({"ENDPOINT": "http://a:1", "TRACES_ENDPOINT": "https://c:3/in"},
         ("http://a:1/v1/logs", "https://c:3/in")),
        ({"LOGS_ENDPOINT": "http://b:2/v1/logs"}, ("http://b:2/v1/logs", "http://b:2/v1/traces")),
        ({"TRACES_ENDPOINT": "http://c:3/in"}, None),
        ({"ENDPOINT": "https://a:1", "PROTOCOL": "grpc"}, ("grpcs://a:1", "grpcs://a:1")),
        ({"ENDPOINT": "http://a:1", "PROTOCOL": "http/protobuf"},
         ("http://a:1/v1/logs", "http://a:1/v1/traces")),
        ({"ENDPOINT": "http://a:1", "LOGS_PROTOCOL": "grpc"}, ("grpc://a:1", "http://a:1/v1/traces")),
        ({"ENDPOINT": "http://a:1", "TRACES_PROTOCOL": "grpc"}, ("http://a:1/v1/logs", "grpc://a:1")),
        ({"LOGS_ENDPOINT": "http://b:2", "LOGS_PROTOCOL": "grpc"}, ("grpc://b:2", "grpc://b:2")),
    ],
)  # fmt: skip
def test_places_and_protocols(
    variables: dict[str, str], expected: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal's own variable is used as it is, the general one as a base; the protocol is the scheme."""
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)

    assert places() == expected


def test_signals_over_two_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs over HTTP and spans over gRPC at once."""
    pytest.importorskip("grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
    with Server(OK) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        exporter = build(resolve({"export_timeout_s": 0.3}), "key")
        assert isinstance(exporter, PerSignal)
        assert exporter.send(PAYLOAD) == Outcome(Fate.SENT)
        assert "gRPC" in exporter.send(Payload(TRACES, b"", 1)).why
        exporter.close()


def test_missing_grpc_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """OTEL_EXPORTER_OTLP_PROTOCOL=grpc without the extra is one clear warning, and training goes on."""
    import sys

    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "emitter.otlp.grpc", raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")

    assert build(resolve({}), "key") is None
    assert [record.getMessage() for record in caplog.records] == [
        "telemetry goes nowhere: grpc is not installed. Install it with `pip install 'trainwarden[grpc]'`; "
        "training goes on"
    ]


@pytest.mark.parametrize("signal", SIGNALS)
def test_headers(signal: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Percent-decoded, one signal's instead of the general ones; what would break the request is left out."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=a%20b%2Cc, x=1")
    assert environment.headers(signal) == {"api-key": "a b,c", "x": "1"}

    monkeypatch.setenv(variable(signal, "HEADERS"), "own=1,bad name=2,split=a%0d%0ab,nothing")
    assert environment.headers(signal) == {"own": "1"}
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        variable(signal, "HEADERS")
    ] * 3


@pytest.mark.parametrize("signal", SIGNALS)
def test_headers_reach_the_server(signal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the variables say is in the request of the signal."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "everywhere=1")
    monkeypatch.setenv(variable(LOGS, "HEADERS"), "logs=1")
    with Server(OK) as server:
        url = f"http://127.0.0.1:{server.port}"
        exporter = HttpExporter(url, url, None)
        exporter.send(Payload(signal, b"", 1))
        exporter.close()
        lines = server.requests[0][0].split("\r\n")

    assert ("logs: 1" in lines, "everywhere: 1" in lines) == (signal == LOGS, signal == TRACES)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(
    ("value", "seconds"),
    [("10000", 10.0), ("10", 10.0), ("2500", 2.5), ("0.5", 0.5), ("300", 300.0), ("", 10.0),
     ("soon", 10.0), ("-1", 10.0), ("nan", 10.0)],
)  # fmt: skip
def test_timeout(signal: str, value: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds, as the specification has it; up to 300 seconds, as the Python SDK reads it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", value)
    assert environment.timeout_s(signal) == seconds

    monkeypatch.setenv(variable(signal, "TIMEOUT"), "1500")
    assert environment.timeout_s(signal) == 1.5


def test_timeout_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that hangs is given up when the variable says; our own setting goes before it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "400")
    with Receiver(hang=True) as receiver:
        outcomes = []
        for timeout_s in (None, 0.2):
            exporter = HttpExporter(receiver.url, receiver.url, timeout_s)
            outcomes.append(exporter.send(PAYLOAD))
            exporter.close()

    assert outcomes == [Outcome(Fate.RETRY, "TimeoutError: timed out")] * 2


@pytest.mark.parametrize("signal", SIGNALS)
def test_compression(signal: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One signal's variable goes before the general one; an unknown word is warned of and sends as it is."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    assert environment.compression(signal) == "gzip"
    monkeypatch.setenv(variable(signal, "COMPRESSION"), "none")
    assert environment.compression(signal) == ""
    monkeypatch.setenv(variable(signal, "COMPRESSION"), "brotli")
    assert environment.compression(signal) == ""
    assert caplog.messages == [
        f"{variable(signal, 'COMPRESSION')}: expected gzip, deflate or none, got 'brotli'; sending as it is"
    ]


@pytest.mark.parametrize("signal", SIGNALS)
def test_unknown_protocol_is_warned_of(
    signal: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """http/json is not spoken; binary OTLP over HTTP is used, and said."""
    monkeypatch.setenv(variable(signal, "PROTOCOL"), "http/json")

    assert environment.protocol(signal) == "http"
    assert caplog.messages == [
        f"{variable(signal, 'PROTOCOL')}: expected grpc or http/protobuf, got 'http/json'; "
        "using http/protobuf"
    ]


def test_resource_attributes(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    """OTEL_RESOURCE_ATTRIBUTES adds, percent-decoded; what identifies the emitter cannot be overridden."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb,k8s.pod.name=p1,train.rank=7,broken")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    emitter.init("run", endpoint=receiver.url, logs=False, resources=False, hooks=False, rank=3)
    emitter.shutdown()

    found = receiver.resource()
    assert (found["team"], found["k8s.pod.name"], found["train.rank"]) == ("a,b", "p1", 3)
    assert found["service.name"] == "mine"
    assert found["telemetry.sdk.language"] == "python"
    assert found["telemetry.sdk.name"] == "trainwarden"


@pytest.mark.parametrize("value", ["true", "TRUE", "1"])
def test_disabled(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_SDK_DISABLED ends it before anything starts."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", value)
    emitter.init("run", endpoint="http://127.0.0.1:1")

    assert _api._session is None


@contextmanager
def tls_server(folder: Path, *, client: bool = False) -> Iterator[int]:
    """A server on localhost that answers 200 to what comes over TLS, asking for a certificate or not."""
    key, certificate = certificates.write(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve_tls, args=(listener, context), daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _serve_tls(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(accepted, server_side=True) as secured:
                secured.settimeout(5)
                while secured.recv(65536):
                    secured.sendall(OK)
        except OSError:
            continue
        finally:
            accepted.close()


def outcome(port: int, signal: str = LOGS) -> Outcome:
    exporter = HttpExporter(f"https://localhost:{port}", f"https://localhost:{port}", 5)
    found = exporter.send(Payload(signal, b"", 1))
    exporter.close()
    return found


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("own", [True, False])
def test_certificate(signal: str, own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is trusted when its authority is named, by the signal's variable or the general one."""
    with tls_server(tmp_path) as port:
        refused = outcome(port, signal)
        name = variable(signal, "CERTIFICATE") if own else "OTEL_EXPORTER_OTLP_CERTIFICATE"
        monkeypatch.setenv(name, str(tmp_path / "certificate.pem"))
        trusted = outcome(port, signal)

    assert refused.fate is Fate.RETRY
    assert "CERTIFICATE_VERIFY_FAILED" in refused.why
    assert trusted == Outcome(Fate.SENT)


@pytest.mark.parametrize("signal", SIGNALS)
def test_client_certificate(signal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that asks who we are is shown the client's certificate."""
    with tls_server(tmp_path, client=True) as port:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "certificate.pem"))
        unknown = outcome(port, signal)
        monkeypatch.setenv(variable(signal, "CLIENT_CERTIFICATE"), str(tmp_path / "certificate.pem"))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(tmp_path / "key.pem"))
        known = outcome(port, signal)

    assert unknown.fate is Fate.RETRY
    assert known == Outcome(Fate.SENT)


@pytest.mark.parametrize("what", TLS_FILES)
def test_file_that_is_not_there_is_named(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says which file; it is looked for again at the next attempt."""
    missing = str(tmp_path / "missing.pem")
    with tls_server(tmp_path) as port:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "certificate.pem"))
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{what}", missing)
        found = outcome(port)

    assert found == Outcome(Fate.RETRY, f"OSError: cannot read {missing}, which OTEL_EXPORTER_OTLP_* names")


def test_proxy_is_asked_for_the_whole_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY with user and password; the collector's own name is the proxy's to resolve."""
    with Server(OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://us:pa@127.0.0.1:{proxy.port}")
        exporter = HttpExporter("http://collector.invalid:4318/v1/logs", "http://collector.invalid/t", 5)
        assert exporter.send(PAYLOAD) == Outcome(Fate.SENT)
        exporter.close()
        head, _ = proxy.requests[0]

    assert head.startswith("POST http://collector.invalid:4318/v1/logs HTTP/1.1\r\n")
    assert "host: collector.invalid:4318\r\n" in head
    assert "proxy-authorization: Basic dXM6cGE=\r\n" in head


@pytest.mark.parametrize(
    ("url", "excepted", "through"),
    [
        ("http://127.0.0.1:1/", "", False),
        ("http://localhost:1/", "", False),
        ("http://[::1]:1/", "", False),
        ("http://a.example:1/", "", True),
        ("https://a.example/", "", True),
        ("http://a.example:1/", "b.example,example", False),
        ("http://a.example:1/", "*", False),
        ("http://10.1.2.3:1/", "10.0.0.0/8", False),
        ("http://11.1.2.3:1/", "10.0.0.0/8", True),
    ],
)
def test_which_hosts_go_through_the_proxy(
    url: str, excepted: str, through: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never the machine itself; not what NO_PROXY names, networks too."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", excepted)

    assert (connection.route(url).proxy is not None) is through


def test_proxy_of_another_kind_is_refused_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    """SOCKS is not spoken; the reason says what is, without the password."""
    monkeypatch.setenv("ALL_PROXY", "socks5://us:pa@proxy.invalid:1080")
    exporter = HttpExporter("http://a.example/", "http://a.example/", 5)

    assert exporter.send(PAYLOAD) == Outcome(
        Fate.RETRY, "OSError: expected a proxy as http://host:port, got socks5://proxy.invalid:1080"
    )


def test_tls_goes_through_a_proxy_as_a_tunnel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONNECT first, then TLS with the server itself."""
    monkeypatch.setattr(connection, "is_loopback", lambda host: False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with tls_server(tmp_path) as port, _tunnel(port) as (proxy_port, heads):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "certificate.pem"))
        monkeypatch.setenv("HTTPS_PROXY", f"http://us:pa@127.0.0.1:{proxy_port}")
        found = outcome(port)

    assert found == Outcome(Fate.SENT)
    assert heads[0].startswith(f"CONNECT localhost:{port} HTTP/1.")
    assert "Proxy-Authorization: Basic dXM6cGE=" in heads[0]


@contextmanager
def _tunnel(port: int) -> Iterator[tuple[int, list[str]]]:
    heads: list[str] = []

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            heads.append(head.decode())
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            other = {client: server, server: client}
            while True:
                for ready in select.select([client, server], [], [], 5)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield int(listener.getsockname()[1]), heads
        thread.join(10)
