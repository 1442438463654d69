"""Settings of everything that speaks to Kafka: arguments, TRAINWARDEN_KAFKA_*, errors; the page is fresh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emitter.kafka.settings import KafkaSettingError, resolve, table
from tests import certificates

PAGE = Path(__file__).parents[2] / "docs" / "otlp-kafka.md"


def test_argument_wins_over_variable_over_default() -> None:
    """Brokers in the three ways; a kafka:// prefix is taken off."""
    environ = {"TRAINWARDEN_KAFKA_BROKERS": "kafka://a:1,[::1]:2/"}

    assert resolve({"brokers": "b:1"}, environ).brokers == "b:1"
    assert resolve({}, environ).brokers == "a:1,[::1]:2"
    assert resolve({}, {}).brokers == "localhost:9092"


@pytest.mark.parametrize(
    ("given", "protocol", "mechanism"),
    [
        ({}, "PLAINTEXT", None),
        ({"tls": True}, "SSL", None),
        ({"sasl_username": "u", "sasl_password": "p"}, "SASL_PLAINTEXT", "SCRAM-SHA-512"),
        ({"tls": "true", "sasl_username": "u", "sasl_password": "p", "sasl_mechanism": "plain"},
         "SASL_SSL", "PLAIN"),
    ],
)  # fmt: skip
def test_protocol_follows_from_the_rest(given: dict[str, Any], protocol: str, mechanism: str | None) -> None:
    """Nobody has to spell Kafka's security.protocol."""
    found = resolve(given, {}).client()

    assert found["security_protocol"] == protocol
    assert ("ssl_context" in found) == ("SSL" in protocol)
    assert found.get("sasl_mechanism") == mechanism


def test_certificates_turn_tls_on(tmp_path: Path) -> None:
    """An authority or a certificate of one's own makes sense with TLS only."""
    key, certificate = certificates.write(tmp_path)
    settings = resolve(
        {"tls_ca": str(certificate), "tls_certificate": str(certificate), "tls_key": str(key)}, {}
    )

    assert settings.client()["security_protocol"] == "SSL"


@pytest.mark.parametrize(
    ("given", "environ", "message"),
    [
        ({"brokers": "a"}, {}, "brokers: expected host:port[,host:port], got 'a'"),
        ({}, {"BROKERS": "a:1,b"}, "TRAINWARDEN_KAFKA_BROKERS: expected host:port[,host:port], got 'a:1,b'"),
        ({}, {"TLS": "maybe"}, "TRAINWARDEN_KAFKA_TLS: expected true or false, got 'maybe'"),
        ({}, {"TIMEOUT": "-1"}, "TRAINWARDEN_KAFKA_TIMEOUT: expected a number > 0, got '-1'"),
        ({"tls_ca": "no.pem"}, {}, "tls_ca: expected the path of a file that exists, got 'no.pem'"),
        ({"compression": "rar"}, {},
         "compression: expected none or gzip or lz4 or snappy or zstd, got 'rar'"),
        ({"sasl_mechanism": "GSSAPI"}, {},
         "sasl_mechanism: expected PLAIN or SCRAM-SHA-256 or SCRAM-SHA-512, got 'GSSAPI'"),
        ({"sasl_mechanism": "PLAIN"}, {}, "sasl_mechanism PLAIN: expected sasl_username too, got none"),
        ({"sasl_password": "p"}, {}, "expected sasl_username and sasl_password together, got one of them"),
    ],
)  # fmt: skip
def test_errors_name_place_wish_and_value(
    given: dict[str, Any], environ: dict[str, str], message: str
) -> None:
    """One sentence that says what to change."""
    with pytest.raises(KafkaSettingError) as raised:
        resolve(given, {f"TRAINWARDEN_KAFKA_{name}": value for name, value in environ.items()})

    assert str(raised.value) == message


def test_password_is_shown_nowhere() -> None:
    """Not in the settings' own text."""
    assert "s3cret" not in repr(resolve({"sasl_username": "u", "sasl_password": "s3cret"}, {}))


def test_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    """A key where the authority should be."""
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(KafkaSettingError, match=r"expected PEM certificates and keys in .*ca\.pem"):
        resolve({"tls_ca": str(file)}, {}).client()


def test_without_cramjam_nothing_is_compressed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default falls back; asking for lz4 says what to install."""
    monkeypatch.setattr("emitter.kafka.settings.has_zstd", lambda: False)

    assert resolve({}, {}).compression == "none"
    with pytest.raises(
        KafkaSettingError, match=r"compression: expected none or gzip, as cramjam is not installed"
    ):
        resolve({"compression": "lz4"}, {})


def test_page_has_every_setting() -> None:
    """The table in docs/otlp-kafka.md is the one that the settings give."""
    found = PAGE.read_text().split("<!-- settings -->\n")[1].split("<!-- end of settings -->")[0]

    assert found == table(), f"put this between the marks:\n{table()}"
