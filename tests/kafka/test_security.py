"""TLS and SASL of everything in the emitter that speaks to Kafka, against Apache Kafka."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource

import emitter
from emitter.otlp_kafka import KafkaLogExporter
from emitter.vocabulary import topics as vocabulary
from stream import topics
from tests.emitter import kafka_side
from tests.fixtures import read_topic, wait_for
from tests.kafka import secure_kafka
from tests.kafka.secure_kafka import PASSWORD, USER, Secure
from tests.keys import SENDER

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LOGIN = {"sasl_username": USER, "sasl_password": PASSWORD}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """A broker of our own, whose plain listener only the test uses."""
    with secure_kafka.running(tmp_path_factory.mktemp("secure")) as found:
        asyncio.run(topics.apply(found.plain)).check()
        yield found


def _export(brokers: str, **options: Any) -> tuple[LogRecordExportResult, str]:
    mark = uuid.uuid4().hex
    exporter = KafkaLogExporter(brokers, timeout=20 if options.pop("good", True) else 1.5, **options)
    try:
        record = ReadableLogRecord(log_record=LogRecord(body=mark), resource=Resource({}))
        return exporter.export([record]), mark
    finally:
        exporter.shutdown()


def _arrived(secure: Secure, mark: str) -> bool:
    return bool(
        read_topic(secure.plain, vocabulary.OTLP_LOGS, len, lambda record: mark.encode() in record.value)
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", None])
@pytest.mark.parametrize("tls", [False, True])
def test_every_login(secure: Secure, mechanism: str | None, tls: bool) -> None:
    """PLAIN and both SCRAMs, with TLS and without; without a mechanism it is SCRAM-SHA-512."""
    options = {"tls_ca": secure.certificate} if tls else {}
    if mechanism:
        options["sasl_mechanism"] = mechanism
    result, mark = _export(secure.sasl_tls if tls else secure.sasl, **LOGIN, **options)

    assert result is LogRecordExportResult.SUCCESS
    assert _arrived(secure, mark)


def test_certificate_of_ones_own(secure: Secure) -> None:
    """A listener that asks for a client certificate gets it."""
    result, mark = _export(
        secure.mutual, tls_ca=secure.certificate, tls_certificate=secure.certificate, tls_key=secure.key
    )

    assert result is LogRecordExportResult.SUCCESS
    assert _arrived(secure, mark)


@pytest.mark.parametrize(
    ("listener", "options", "words"),
    [
        ("sasl", {**LOGIN, "sasl_password": "wrong"}, "Authentication failed"),
        ("sasl", {**LOGIN, "sasl_password": "wrong", "sasl_mechanism": "PLAIN"}, "Authentication failed"),
        ("sasl_tls", {**LOGIN, "tls": True}, "certificate verify failed"),
    ],
)
def test_refusals_are_said_once_with_their_reason(
    secure: Secure, listener: str, options: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong password or an authority that nobody knows: one warning, in the broker's or TLS's own words."""
    result, _ = _export(getattr(secure, listener), good=False, **options)

    assert result is LogRecordExportResult.FAILURE
    (warning,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert words in warning
    assert "wrong" not in warning


def test_endpoint_and_commands_log_in_by_variables(
    secure: Secure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """TRAINWARDEN_KAFKA_* holds for kafka:// endpoints and for the commands link."""
    run, seen = uuid.uuid4().hex, list[Any]()
    for name, value in {
        "SASL_USERNAME": USER,
        "SASL_PASSWORD": PASSWORD,
        "TLS_CA": secure.certificate,
    }.items():
        monkeypatch.setenv(f"TRAINWARDEN_KAFKA_{name}", value)
    monkeypatch.setenv("TRAINWARDEN_TRUSTED_KEYS", str(SENDER.trust(tmp_path / "trusted_keys")))
    place = f"kafka://{secure.sasl_tls}"
    emitter.on("save")(seen.append)
    emitter.init(run, run_id=run, endpoint=place, commands=place, resources=False, logs=False, hooks=False)
    try:
        kafka_side.send(secure.plain, vocabulary.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))

        def stepped() -> bool:
            emitter.step(None, loss=1.0)
            return bool(seen)

        wait_for(stepped, 60, "the command")
    finally:
        emitter.shutdown()

    assert _arrived(secure, run)
    assert [ack.state for ack in kafka_side.acks_until(secure.plain, run)][-1] == "succeeded"
