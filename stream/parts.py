"""The parts of a stack: what to execute for each, where it answers, and how to ask whether it is ready."""

from __future__ import annotations

import asyncio
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stream import broker
from stream.ports import LOOPBACK

BROKER, CLICKHOUSE, LOOP, HISTORY, VIEWER, GATEWAY = (
    "broker", "clickhouse", "worker-loop", "worker-history", "viewer", "gateway",
)  # fmt: skip
GATEWAY_GRPC: Final = "gateway-grpc"
"""No part of its own: the gateway's other port."""
ORDER: Final = (BROKER, CLICKHOUSE, HISTORY, LOOP, VIEWER, GATEWAY)
"""Started in this order, stopped in reverse: the entrance opens last and closes first."""

_ANSWER_S: Final = 2.0
# A proxy of the environment must not stand between us and our own loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Part:
    """One child process. ``ready`` gives None once it is, else what it said; ``cure`` is for the user."""

    name: str
    argv: Sequence[str]
    address: str
    ready: Callable[[], str | None]
    cure: str
    env: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Plan:
    """What the parts need to know of the stack. Ports by part name."""

    data_dir: Path
    ports: Mapping[str, int]
    kafka: str
    clickhouse: str
    mode: str
    rules: Sequence[Path]
    notify: Path | None = None

    def broker(self) -> Part:
        """Tansu, in memory. Raises stream.broker.BrokerError when it cannot be started."""
        command = broker.command(self.ports[BROKER])
        return Part(
            BROKER, command.argv, command.bootstrap, lambda: _asks_broker(command.bootstrap),
            "if this machine cannot run the embedded broker, use a Kafka of your own: --kafka", command.env,
        )  # fmt: skip

    def clickhouse_endpoint(self) -> Part:
        """The embedded ClickHouse engine on ``DATA_DIR/clickhouse``."""
        options = ["--data-dir", str(self.data_dir / "clickhouse")]
        return self._http(
            CLICKHOUSE, ["clickhouse", *options], "/ping",
            "if the data cannot be opened, choose another directory with --data-dir",
        )  # fmt: skip

    def gateway(self) -> Part:
        """The OTLP entrance."""
        command = ["gateway", "--kafka", self.kafka, "--grpc-port", str(self.ports[GATEWAY_GRPC])]
        return self._http(GATEWAY, command, "/readyz", "check the broker's log")

    def viewer(self) -> Part:
        """The dashboards."""
        return self._http(
            VIEWER,
            ["view", "--clickhouse", self.clickhouse, "--kafka", self.kafka],
            "/readyz",
            "check clickhouse's log",
        )

    def worker(self, name: str) -> Part:
        """One of the two Faust apps, LOOP or HISTORY."""
        app = name.removeprefix("worker-")
        rules = [option for path in self.rules for option in ("--rules", str(path.absolute()))]
        command = [
            "worker", "--app", app, "--kafka", self.kafka, "--clickhouse", self.clickhouse,
            "--mode", self.mode, "--data-dir", str(self.data_dir / name), *rules,
        ]  # fmt: skip
        if name == LOOP and self.notify is not None:
            command += ["--notify", str(self.notify.absolute())]
        return self._http(
            name, command, "/readyz", "check the logs of broker and clickhouse", "--health-port"
        )

    def _http(self, name: str, command: list[str], path: str, cure: str, option: str = "--port") -> Part:
        address = f"{LOOPBACK}:{self.ports[name]}"
        argv = [sys.executable, "-m", "stream.cli", *command, option, str(self.ports[name])]
        return Part(name, argv, address, lambda: _asks_http(f"http://{address}{path}"), cure)


def _asks_http(url: str) -> str | None:
    try:
        with _opener.open(url, timeout=_ANSWER_S):
            return None
    except urllib.error.HTTPError as error:
        text = error.read(500).decode(errors="replace").strip()
        return f"it answered {error.code} {text}".strip()
    except OSError as error:
        return str(getattr(error, "reason", error))


def _asks_broker(bootstrap: str) -> str | None:
    try:
        asyncio.run(broker.wait_ready(bootstrap, _ANSWER_S))
    except broker.BrokerError as error:
        return str(error)
    return None
