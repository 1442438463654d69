"""A gateway that speaks HTTPS itself."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import sys
import uuid
from pathlib import Path

import pytest

from emitter.signing.places import ENV_TRUSTED_KEYS
from emitter.vocabulary import commands, topics
from stream.cli import main
from stream.gateway import GatewayError
from stream.gateway.tls import Certificate
from tests import certificates
from tests.emitter import kafka_side
from tests.fixtures import Child, free_port, http_request, read_topic
from tests.keys import SENDER

TRAINER = """
import sys, time
import emitter

url, run = sys.argv[1:]
emitter.init(run=run, run_id=run, endpoint=url, commands=url, resources=False, logs=False, hooks=False)

@emitter.on("stop")
def stop(command):
    print("stopped", flush=True)
    return {}

for step in range(6000):
    emitter.step(step, loss=1.0)
    time.sleep(0.02)
"""


@pytest.mark.slow
def test_telemetry_and_commands_go_over_tls(broker: str, tmp_path: Path) -> None:
    """A trainer that trusts the certificate is heard and told; nobody in the clear, nor without the token."""
    key, certificate = certificates.write(tmp_path)
    port, run = free_port(), uuid.uuid4().hex
    argv = [sys.executable, "-m", "stream.cli", "gateway", "--kafka", broker, "--host", "0.0.0.0"]
    argv += ["--port", str(port), "--grpc-port", "0", "--tls-cert", str(certificate), "--tls-key", str(key)]
    gateway = Child(argv, tmp_path / "gateway.log", {**os.environ, "TRAINWARDEN_GATEWAY_TOKEN": "secret"})
    try:
        gateway.wait_until(lambda: _status(port, certificate, "/readyz") == 200, "readiness", 120)
        assert _status(port, certificate, f"/v1/commands?run={run}") == 401
        with pytest.raises((http.client.HTTPException, OSError)):
            http_request("GET", f"http://127.0.0.1:{port}/readyz")
        _trainer(broker, f"https://localhost:{port}", run, certificate, tmp_path)
    finally:
        gateway.kill()


def _trainer(broker: str, url: str, run: str, certificate: Path, folder: Path) -> None:
    env = {
        **os.environ, "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate),
        ENV_TRUSTED_KEYS: str(SENDER.trust(folder / "trusted")), "TRAINWARDEN_COMMANDS_TOKEN": "secret",
    }  # fmt: skip
    trainer = Child([sys.executable, "-c", TRAINER, url, run], folder / "trainer.log", env)
    try:
        read_topic(broker, topics.OTLP_LOGS, len, lambda one: run.encode() in one.value, timeout=120)
        command = kafka_side.command(run, "stop")
        kafka_side.send(broker, topics.REMEDIATION_COMMANDS, command)
        trainer.wait_until(lambda: "stopped" in trainer.log(), "the command", 120)
        acks = read_topic(
            broker, topics.REMEDIATION_ACKS, lambda found: len(found) >= 4,
            lambda one: command.id.encode() in one.value, timeout=120,
        )  # fmt: skip
        assert commands.decode_ack(acks[3].value).state == commands.SUCCEEDED
    finally:
        trainer.kill()


def _status(port: int, certificate: Path, path: str) -> int:
    context = ssl.create_default_context(cafile=str(certificate))
    connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_a_renewed_certificate_is_used_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What came later is loaded into the same context; a file that cannot be used leaves the old one."""
    key, certificate = certificates.write(tmp_path)
    held = Certificate(certificate, key)
    (tmp_path / "new").mkdir()
    new = certificates.write(tmp_path / "new")
    certificate.write_text("no certificate")
    os.utime(certificate, (1, 1))
    held.look()
    assert "expected a certificate and its private key" in caplog.text
    assert caplog.text.count("the old certificate stays") == 1
    for source, target in zip(new, (key, certificate), strict=True):
        shutil.copy(source, target)
        os.utime(target, (2, 2))
    caplog.set_level("INFO")
    held.look()
    assert f"the certificate in {certificate} is renewed" in caplog.text


def test_certificates_that_cannot_be_used_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is listened on: the file, what was expected, what came."""
    key, certificate = certificates.write(tmp_path)
    with pytest.raises(GatewayError, match=r"TLS: /nowhere\.pem: cannot be read: No such file"):
        Certificate(Path("/nowhere.pem"))
    with pytest.raises(GatewayError, match="without a password"):
        Certificate(certificate)
    monkeypatch.setattr(
        sys, "argv", ["trainwarden", "gateway", "--kafka", "127.0.0.1:9", "--tls-key", str(key)]
    )
    with pytest.raises(SystemExit):
        main()
    assert "--tls-key needs --tls-cert" in capsys.readouterr().err
