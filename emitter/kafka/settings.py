"""How to reach a Kafka cluster: brokers, SASL, TLS, limits; from arguments and TRAINWARDEN_KAFKA_*.

The variables are not called KAFKA_*: Kubernetes sets KAFKA_PORT and the like in every pod beside a service
named kafka, and Kafka's own images read variables of that name.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from aiokafka.codec import has_zstd

PREFIX: Final = "TRAINWARDEN_KAFKA_"
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
COMPRESSIONS: Final = ("none", "gzip", "lz4", "snappy", "zstd")
_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}


class KafkaSettingError(ValueError):
    """A setting is not what it must be; the message names it, what was expected and what came."""


def _brokers(text: str) -> str:
    hosts = [host.strip() for host in text.removeprefix("kafka://").rstrip("/").split(",")]
    for host in hosts:
        name, colon, port = host.rpartition(":")
        if not (name and colon and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError("host:port[,host:port]")
    return ",".join(hosts)


def _mechanism(text: str) -> str:
    if text.upper() not in MECHANISMS:
        raise ValueError(" or ".join(MECHANISMS))
    return text.upper()


def _compression(text: str) -> str:
    if text not in COMPRESSIONS:
        raise ValueError(" or ".join(COMPRESSIONS))
    if text in ("lz4", "snappy", "zstd") and not has_zstd():
        raise ValueError("none or gzip, as cramjam is not installed (`pip install 'trainwarden[kafka]'`)")
    return text


def _flag(value: bool | str) -> bool:
    found = value if isinstance(value, bool) else _WORDS.get(value.lower())
    if found is None:
        raise ValueError("true or false")
    return found


def _file(text: str) -> str:
    if not Path(text).is_file():
        raise ValueError("the path of a file that exists")
    return text


def _positive(value: float | str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise ValueError("a number > 0")
    return number


def _whole(value: int | str) -> int:
    return int(_positive(value))


def _row(parse: Callable[[Any], Any], default: Any, doc: str, *, show: bool = True) -> Any:
    return field(default=default, repr=show, metadata={"parse": parse, "doc": doc})


@dataclass(frozen=True)
class KafkaSettings:
    """All settings, resolved by ``resolve``. The variable of each is its name in capitals behind PREFIX."""

    brokers: str = _row(_brokers, "localhost:9092", "Brokers to start from, `host:port[,host:port]`.")
    tls: bool = _row(_flag, False, "Encrypt the connection and check the broker's certificate.")
    tls_ca: str | None = _row(_file, None, "PEM file of authorities to trust instead of the system's.")
    tls_certificate: str | None = _row(_file, None, "PEM file of the client's own certificate.")
    tls_key: str | None = _row(_file, None, "PEM file of its key, where it is not in the same file.")
    sasl_mechanism: str | None = _row(
        _mechanism,
        None,
        "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; SCRAM-SHA-512 where only a user is given.",
    )
    sasl_username: str | None = _row(str, None, "User of SASL.")
    sasl_password: str | None = _row(str, None, "Password of SASL.", show=False)
    client_id: str = _row(str, "trainwarden", "What broker logs and quotas call this client.")
    compression: str = _row(
        _compression,
        "",
        "`none`, `gzip`, `lz4`, `snappy` or `zstd`; else `zstd` where cramjam is installed, or `none`.",
    )
    max_message_bytes: int = _row(
        _whole,
        1_000_000,
        "Longest message, before compression (the Collector's limit); longer requests are split.",
    )
    timeout: float = _row(_positive, 10.0, "Seconds that one export may take, tries included.")

    def __post_init__(self) -> None:
        """Raises KafkaSettingError for settings that contradict each other."""
        if (self.sasl_username is None) != (self.sasl_password is None):
            raise KafkaSettingError("expected sasl_username and sasl_password together, got one of them")
        if self.sasl_mechanism and self.sasl_username is None:
            raise KafkaSettingError(
                f"sasl_mechanism {self.sasl_mechanism}: expected sasl_username too, got none"
            )
        if not self.tls and (self.tls_ca or self.tls_certificate):
            object.__setattr__(self, "tls", True)
        if self.sasl_username and not self.sasl_mechanism:
            object.__setattr__(self, "sasl_mechanism", "SCRAM-SHA-512")
        if not self.compression:
            # gzip, which needs no cramjam, takes aiokafka 35 times as long (bench/kafka_export.py).
            object.__setattr__(self, "compression", "zstd" if has_zstd() else "none")

    def client(self) -> dict[str, Any]:
        """Arguments of aiokafka's clients. Raises KafkaSettingError where a certificate cannot be read."""
        protocol = ("SASL_" if self.sasl_mechanism else "") + ("SSL" if self.tls else "PLAINTEXT")
        found: dict[str, Any] = {
            "bootstrap_servers": self.brokers, "client_id": self.client_id, "security_protocol": protocol,
        }  # fmt: skip
        if self.tls:
            found["ssl_context"] = self._ssl_context()
        if self.sasl_mechanism:
            found.update(
                sasl_mechanism=self.sasl_mechanism,
                sasl_plain_username=self.sasl_username,
                sasl_plain_password=self.sasl_password,
            )
        return found

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_certificate:
                context.load_cert_chain(self.tls_certificate, self.tls_key)
        except (ssl.SSLError, OSError) as error:
            files = ", ".join(filter(None, (self.tls_ca, self.tls_certificate, self.tls_key)))
            raise KafkaSettingError(f"expected PEM certificates and keys in {files}: {error}") from None
        return context


def resolve(given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> KafkaSettings:
    """Settings from arguments (None means not given), then TRAINWARDEN_KAFKA_*. Raises KafkaSettingError."""
    environ = os.environ if environ is None else environ
    chosen = {}
    for row in fields(KafkaSettings):
        value, place = given.get(row.name), row.name
        if value is None:
            place = PREFIX + row.name.upper()
            value = environ.get(place) or None
        if value is not None:
            chosen[row.name] = _parsed(place, value, row.metadata["parse"], show=row.repr)
    return KafkaSettings(**chosen)


def _parsed(place: str, value: Any, parse: Callable[[Any], Any], *, show: bool) -> Any:
    try:
        return parse(value)
    except (TypeError, ValueError, AttributeError) as error:
        what = repr(value) if show else "something else"
        raise KafkaSettingError(f"{place}: expected {error}, got {what}") from None


def table() -> str:
    """The settings as a Markdown table, for docs/otlp-kafka.md."""
    lines = ["| argument | environment | default | meaning |", "|---|---|---|---|"]
    for row in fields(KafkaSettings):
        default = "" if row.default in (None, "") else f"`{row.default}`"
        lines.append(f"| `{row.name}` | `{PREFIX}{row.name.upper()}` | {default} | {row.metadata['doc']} |")
    return "\n".join(lines) + "\n"
