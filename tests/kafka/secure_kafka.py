"""An Apache Kafka with listeners that ask for TLS, SASL or a certificate, beside the plain one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests import certificates
from tests.fixtures import free_port
from tests.kafka.apache_kafka import ApacheKafka

USER, PASSWORD = "app", "s3cret"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'

_PROPERTIES = f"""\
listeners=PLAINTEXT://127.0.0.1:{{plain}},CONTROLLER://127.0.0.1:{{controller}},SASL://127.0.0.1:{{sasl}},\
SASLTLS://127.0.0.1:{{sasl_tls}},MUTUAL://127.0.0.1:{{mutual}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{plain}},SASL://127.0.0.1:{{sasl}},\
SASLTLS://127.0.0.1:{{sasl_tls}},MUTUAL://127.0.0.1:{{mutual}}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,\
SASLTLS:SASL_SSL,MUTUAL:SSL
ssl.keystore.type=PEM
ssl.keystore.location={{keystore}}
ssl.truststore.type=PEM
ssl.truststore.location={{truststore}}
listener.name.mutual.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config={_PLAIN}
listener.name.sasl.scram-sha-256.sasl.jaas.config={_SCRAM}
listener.name.sasl.scram-sha-512.sasl.jaas.config={_SCRAM}
listener.name.sasltls.plain.sasl.jaas.config={_PLAIN}
listener.name.sasltls.scram-sha-256.sasl.jaas.config={_SCRAM}
listener.name.sasltls.scram-sha-512.sasl.jaas.config={_SCRAM}
"""


class Secure(NamedTuple):
    """host:port of each listener, and the PEM files of the one key pair that all use."""

    plain: str
    sasl: str
    sasl_tls: str
    mutual: str
    key: str
    certificate: str


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Secure]:
    """The broker, as long as the block; its user is USER with PASSWORD."""
    key, certificate = certificates.write(directory)
    both = directory / "keystore.pem"
    both.write_text(key.read_text() + certificate.read_text())
    ports = {name: free_port() for name in ("plain", "controller", "sasl", "sasl_tls", "mutual")}
    more = _PROPERTIES.format(**ports, keystore=both, truststore=certificate)
    broker = ApacheKafka(directory, ports["plain"], ports["controller"], more)
    users = [f"SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]" for bits in (256, 512)]
    broker.format(*(word for user in users for word in ("--add-scram", user)))
    hosts = {name: f"127.0.0.1:{port}" for name, port in ports.items() if name != "controller"}
    try:
        broker.start()
        yield Secure(**hosts, key=str(key), certificate=str(certificate))
    finally:
        broker.stop()
