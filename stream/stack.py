"""The embedded stack: all parts as child processes on the loopback, ready together, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.exceptions import ClickHouseError

from emitter.signing import places
from emitter.vocabulary import stack as discovery
from stream import lag, renewal, topics
from stream import ports as port_choice
from stream.broker import BrokerError
from stream.children import Child, Children
from stream.datadir import DataDir
from stream.history import HistoryError
from stream.history.migrate import migrate
from stream.keys import KeyFileError, embedded
from stream.parts import BROKER, CLICKHOUSE, GATEWAY, GATEWAY_GRPC, HISTORY, LOOP, ORDER, VIEWER, Part, Plan
from stream.renewal import Contents, RenewalError
from stream.telemetry.environment import DISABLED, ENDPOINT, INTERVAL

READY_S: Final = 90.0
"""A part that is not ready by then has failed."""

TELEMETRY_MS: Final = 15_000
"""How often the parts send metrics of their own."""

FINISH_S: Final = 5.0
"""How long a stop waits for the history to store what it has not read yet."""

_POLL_S: Final = 0.05
_PACKAGE_ROOT: Final = Path(__file__).resolve().parent.parent

WAITING, STARTING, READY, EXTERNAL, STOPPING, STOPPED, FAILED = (
    "waiting", "starting", "ready", "external", "stopping", "stopped", "failed",
)  # fmt: skip


class StackError(RuntimeError):
    """A part could not be started or died; the message has its name, the end of its log and the cure."""


@dataclass
class Status:
    """How a part is doing. ``took_s`` is the time it needed to become ready."""

    name: str
    state: str = WAITING
    address: str = ""
    pid: int | None = None
    took_s: float | None = None


class Stack:
    """Starts, watches and stops the parts. Use it from one thread that outlives it (see stream/children.py).

    ``kafka`` and ``clickhouse`` name existing ones to use in place of the embedded broker and engine;
    ``changed`` is called after each change of a part's ``Status``.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        ports: str = "default",
        mode: str = "approve",
        rules: Sequence[Path] = (),
        notify: Path | None = None,
        kafka: str | None = None,
        clickhouse: str | None = None,
        changed: Callable[[Status], None] = lambda status: None,
    ) -> None:
        self.data = DataDir(data_dir)
        self.children = Children(self.data.logs)
        self.parts = {name: Status(name) for name in ORDER}
        self.endpoints: dict[str, str | None] = dict.fromkeys(discovery.ENDPOINTS)
        self._ports, self._mode, self._rules, self._notify = ports, mode, rules, notify
        self._external = {BROKER: kafka, CLICKHOUSE: clickhouse}
        self._changed = changed
        self.partitions = topics.DEFAULT_PARTITIONS
        self._keys: dict[str, str] = {}
        self._parts: dict[str, Part] = {}
        self._began: dict[str, float] = {}

    @property
    def kafka(self) -> str:
        """host:port[,host:port] of the broker."""
        return self.endpoints["kafka"] or ""

    @property
    def clickhouse(self) -> str:
        """URL of the history."""
        return self.endpoints["clickhouse"] or ""

    def start(self) -> None:
        """Start all parts and return when all are ready. Raises StackError, DataDirError, PortsError.

        When it raises, what was started is still to be stopped with ``stop``.
        """
        self.data.acquire()
        self.data.wait_for_predecessor()
        try:
            self._keys = embedded.ensure(self.data.path)
            self._start_parts(self._plan())
        except (BrokerError, topics.TopicsError, HistoryError, ClickHouseError, KeyFileError) as error:
            raise StackError(str(error)) from error
        self._announce()

    def check(self) -> None:
        """Raise StackError if a part ended by itself."""
        child = self.children.first_ended()
        if child is not None:
            raise self._failure(child, f"ended with {child.ended()}")

    def restart(self, name: str, *, kill: bool) -> None:
        """End one part, by SIGKILL or in order, and start it again; returns when it is ready."""
        child = next(child for child in self.children.running if child.name == name)
        self._set(name, STOPPING)
        self.children.stop(child, forced=lambda: kill)
        self._launch([self._parts[name]])
        self._announce()

    def owns(self, name: str) -> bool:
        """Whether this part is a child of ours, not one that was there before."""
        return any(child.name == name for child in self.children.running)

    def renew_broker(self, needed: Mapping[TopicPartition, int]) -> Contents:
        """Replace the embedded broker by an empty one and give it what is still needed; see stream.renewal.

        Whoever writes to it stands still meanwhile. Raises StackError.
        """
        try:
            with self._standing_still():
                contents = asyncio.run(renewal.take(self.kafka, needed))
                self.restart(BROKER, kill=True)
                asyncio.run(renewal.give(self.kafka, contents))
        except (RenewalError, topics.TopicsError, KafkaError) as error:
            raise StackError(f"the embedded broker could not be replaced: {error}") from error
        return contents

    @contextlib.contextmanager
    def _standing_still(self) -> Iterator[None]:
        """No part that uses the broker runs inside the block."""
        users = [child for child in self.children.running if child.name not in (BROKER, CLICKHOUSE)]
        try:
            for child in users:
                child.process.send_signal(signal.SIGSTOP)
            yield
        finally:
            for child in users:
                child.process.send_signal(signal.SIGCONT)

    def stop(self, forced: Callable[[], bool] = lambda: False) -> None:
        """Stop all parts in reverse order; ``forced`` says whether to kill instead of waiting."""
        for child in reversed(list(self.children.running)):
            if child.name == HISTORY and not forced():
                self._let_history_finish()
            self._set(child.name, STOPPING)
            self.children.stop(child, forced=forced)
            self._set(child.name, STOPPED)
        self.data.release()

    def environment(self) -> dict[str, str]:
        """The variables by which an emitter or a command finds this stack."""
        return {
            discovery.ENV_ENDPOINT: self.endpoints["otlp_http"] or "",
            discovery.ENV_COMMANDS: f"kafka://{self.kafka}",
            discovery.ENV_KAFKA: self.kafka,
            discovery.ENV_CLICKHOUSE: self.clickhouse,
            discovery.ENV_DATA_DIR: str(self.data.path),
            places.ENV_TRUSTED_KEYS: self._keys[places.ENV_TRUSTED_KEYS],
        }

    def _announce(self) -> None:
        pids = {child.name: child.pid for child in self.children.running}
        health = {name: f"http://{self.parts[name].address}" for name in pids if name != BROKER}
        self.data.announce(self.endpoints, pids, {**embedded.by_name(self._keys), discovery.HEALTH: health})

    def _telemetry(self) -> dict[str, str]:
        """The parts send their own metrics to the stack's own gateway."""
        token = os.environ.get(discovery.ENV_OTLP_TOKEN)
        headers = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{quote(token)}"} if token else {}
        disabled = os.environ.get(DISABLED)
        return {
            ENDPOINT: self.endpoints["otlp_http"] or "",
            INTERVAL: os.environ.get(INTERVAL, str(TELEMETRY_MS)),
            **headers,
            **({DISABLED: disabled} if disabled else {}),
        }

    def _plan(self) -> Plan:
        wanted = [name for name in (*ORDER, GATEWAY_GRPC) if not self._external.get(name)]
        ports = port_choice.choose(wanted, self._ports)
        local = {name: f"{port_choice.LOOPBACK}:{port}" for name, port in ports.items()}
        kafka = self._external[BROKER] or local[BROKER]
        clickhouse = self._external[CLICKHOUSE] or f"http://{local[CLICKHOUSE]}"
        self.endpoints.update(
            otlp_http=f"http://{local[GATEWAY]}",
            otlp_grpc=f"grpc://{local[GATEWAY_GRPC]}",
            kafka=kafka,
            clickhouse=clickhouse,
            viewer=f"http://{local[VIEWER]}",
        )
        del local[GATEWAY_GRPC]
        for name, address in {**local, **{k: v for k, v in self._external.items() if v}}.items():
            self.parts[name].address = address
            self._set(name, EXTERNAL if self._external.get(name) else WAITING)
        return Plan(self.data.path, ports, kafka, clickhouse, self._mode, self._rules, self._notify)

    def _start_parts(self, plan: Plan) -> None:
        first = {BROKER: plan.broker, CLICKHOUSE: plan.clickhouse_endpoint}
        self._launch([make() for name, make in first.items() if not self._external[name]])
        self._prepare()
        self._launch([plan.worker(HISTORY), plan.worker(LOOP), plan.viewer(), plan.gateway()])

    def _let_history_finish(self) -> None:
        """Nobody writes any more: give the sink a moment to store what the broker still holds."""
        if any(status.state == FAILED for status in self.parts.values()):
            return
        with contextlib.suppress(KafkaError, OSError):
            asyncio.run(self._history_has_read_all())

    async def _history_has_read_all(self) -> None:
        ends = await lag.end_offsets(self.kafka, lag.HISTORY_TOPICS)
        await lag.wait_until_read(self.kafka, lag.HISTORY_GROUP, ends, FINISH_S)

    def _prepare(self) -> None:
        """What the other parts expect to find: topics, and the schema of the history."""
        applied = asyncio.run(topics.apply(self.kafka))
        applied.check()
        self.partitions = applied.partitions
        migrate(self.clickhouse)

    def _launch(self, parts: list[Part]) -> None:
        for part in parts:
            # Not the user's directory: a file of theirs must not shadow a module of ours.
            env = part.env or {**_environment(), **self._keys, **self._telemetry()}
            child = self.children.start(part.name, part.argv, env=env, cwd=self.data.path)
            # Whatever was started again later: stopped in reverse order, the broker last.
            self.children.running.sort(key=lambda child: ORDER.index(child.name))
            self._parts[part.name], self._began[part.name] = part, time.monotonic()
            self.parts[part.name].pid = child.pid
            self._set(part.name, STARTING)
        starting = list(parts)
        while starting:
            starting = [part for part in starting if not self._became_ready(part)]
            time.sleep(_POLL_S)

    def _became_ready(self, part: Part) -> bool:
        self.check()
        answer = part.ready()
        took_s = time.monotonic() - self._began[part.name]
        if answer is None:
            self.parts[part.name].took_s = took_s
            self._set(part.name, READY)
        elif took_s > READY_S:
            child = next(child for child in self.children.running if child.name == part.name)
            raise self._failure(child, f"was not ready within {READY_S:g} s ({answer})")
        return answer is None

    def _failure(self, child: Child, what: str) -> StackError:
        self._set(child.name, FAILED)
        lines = "\n".join(f"  | {line}" for line in child.tail().splitlines()) or "  | (nothing)"
        cure = self._parts[child.name].cure
        return StackError(f"{child.name} {what}; the end of {child.log}:\n{lines}\nWhat may help: {cure}")

    def _set(self, name: str, state: str) -> None:
        self.parts[name].state = state
        self._changed(self.parts[name])


def _environment() -> dict[str, str]:
    """Ours for the parts, without settings that are meant for emitters and OpenTelemetry SDKs."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), env.get("PYTHONPATH")]))
    env["PYTHONUNBUFFERED"] = "1"
    return env
