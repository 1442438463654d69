"""The parts of a loop as processes that are killed and started again, and both ends of it under traffic."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from emitter.vocabulary import cloudevents, commands, topics
from emitter.vocabulary.commands import Command
from stream import topics as administration
from stream.history.migrate import migrate
from stream.kafka import reach
from stream.keys import ENV_SIGNING_KEY
from tests.fixtures import Child, free_port, http_request, own_broker, wait_for
from tests.integration.ledger_events import RULES, Load, Request
from tests.stream.loop_rig import signing_key

READY_S: Final = 150.0
COMMANDS_S: Final = 1200.0
POLICY: Final = "lifetime: 2h\n"
"""Counted is whether each command is there once: a slow machine must not make one too old to be sent."""
GATEWAY, CLICKHOUSE, LOOP, HISTORY = "gateway", "clickhouse", "loop", "history"
KILLED: Final = (LOOP, GATEWAY, HISTORY, CLICKHOUSE)
"""In this order, again and again."""


class Part:
    """One process with a port of its own: the same again after each kill."""

    def __init__(
        self, name: str, argv: Sequence[str], health: str, log: Path, env: Mapping[str, str]
    ) -> None:
        self.name, self.health = name, health
        self._argv, self._log, self._env = argv, log, env
        self.child: Child | None = None

    def start(self) -> None:
        """Start it; does not wait for it."""
        self.child = Child(self._argv, self._log, self._env)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.child is not None:
            self.child.kill()

    async def stop(self) -> None:
        """SIGTERM, and wait until it has ended in order."""
        assert self.child is not None
        process = self.child.process
        process.terminate()
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        assert process.returncode == 0, self.child.log()

    def partitions(self, topic: str) -> list[int]:
        """What this worker holds of a topic."""
        try:
            answer = http_request("GET", self.health)
        except OSError:
            return []
        held: list[int] = json.loads(answer.body)["partitions"].get(topic, []) if answer.status == 200 else []
        return held

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return http_request("GET", self.health).status == 200
        except OSError:
            return False

    def ended(self) -> bool:
        """Whether it gave up, as it may while another part is away: who runs it starts it again."""
        return self.child is not None and self.child.process.poll() is not None

    def wait_ready(self) -> None:
        assert self.child is not None
        self.child.wait_until(self.ready, f"{self.name} to be ready", READY_S)


class Site:
    """Broker, gateway, workers and ClickHouse endpoint in one folder."""

    def __init__(
        self, folder: Path, kafka: str, *, loops: int = 1, histories: int = 1,
        partitions: int | None = None, replication: int = 1, rules: str = RULES, policy: str = POLICY,
    ) -> None:  # fmt: skip
        self.folder, self.kafka = folder, kafka
        self._topics = partitions, replication
        (folder / "rules").mkdir()
        (folder / "rules" / "ledger.yaml").write_text(rules)
        (folder / "policy.yaml").write_text(policy)
        self._env = {**os.environ, ENV_SIGNING_KEY: str(signing_key(folder).path)}
        self.parts: dict[str, Part] = {}
        port = free_port()
        self.clickhouse = f"http://127.0.0.1:{port}"
        self._add(CLICKHOUSE, ["clickhouse", "--data-dir", str(folder / "ch")], port, "/ping")
        port = free_port()
        self.otlp = f"http://127.0.0.1:{port}"
        self._add(GATEWAY, ["gateway", "--kafka", kafka, "--grpc-port", "0"], port, "/readyz")
        for number in range(loops):
            self.worker(LOOP, number)
        for number in range(histories):
            self.worker(HISTORY, number)

    def worker(self, app: str, number: int = 0) -> Part:
        """One more worker of this app."""
        name = app if number == 0 else f"{app}-{number}"
        argv = [
            "worker", "--app", app, "--kafka", self.kafka, "--clickhouse", self.clickhouse, "--mode", "act",
            "--rules", str(self.folder / "rules"), "--policy", str(self.folder / "policy.yaml"),
            "--data-dir", str(self.folder / name),
        ]  # fmt: skip
        return self._add(name, argv, free_port(), "/readyz", "--health-port")

    def _add(self, name: str, argv: list[str], port: int, path: str, option: str = "--port") -> Part:
        part = self.parts[name] = Part(
            name, [sys.executable, "-m", "stream.cli", *argv, option, str(port)],
            f"http://127.0.0.1:{port}{path}", self.folder / f"{name}.log", self._env,
        )  # fmt: skip
        return part

    def start(self, without: Sequence[str] = ()) -> None:
        """All parts, ready; but for some."""
        asyncio.run(administration.apply(self.kafka, *self._topics)).check()
        self.parts[CLICKHOUSE].start()
        self.parts[CLICKHOUSE].wait_ready()
        migrate(self.clickhouse)
        others = [part for name, part in self.parts.items() if name not in (CLICKHOUSE, *without)]
        for part in others:
            part.start()
        for part in others:
            part.wait_ready()

    def stop(self) -> None:
        for part in self.parts.values():
            part.kill()


@contextlib.contextmanager
def site(
    folder: Path, kafka: str | None = None, *, without: Sequence[str] = (), **settings: Any
) -> Iterator[Site]:
    """A site on a broker of its own, without traffic yet; ``kafka``: on this one."""
    with contextlib.ExitStack() as stack:
        made = Site(folder, kafka or stack.enter_context(own_broker(folder)), **settings)
        stack.callback(made.stop)
        made.start(without)
        yield made


async def send(url: str, requests: Sequence[Request], at_once: bool = False) -> Counter[str]:
    """Every request when it is due, those of an emitter in order, each again until it is acknowledged."""
    tries: Counter[str] = Counter()
    by_emitter: dict[str, list[Request]] = {}
    for request in requests:
        by_emitter.setdefault(request.emitter, []).append(request)
    began = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one_emitter(mine: list[Request]) -> None:
            for request in mine:
                if not at_once:
                    await asyncio.sleep(max(0.0, began + request.due_s - time.monotonic()))
                while True:
                    outcome = await _post(session, url, request.body)
                    tries[outcome] += 1
                    if outcome == "200":
                        break
                    await asyncio.sleep(0.2)

        await asyncio.gather(*map(one_emitter, by_emitter.values()))
    return tries


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> str:
    headers = {"Content-Type": "application/x-protobuf"}
    try:
        async with session.post(f"{url}/v1/logs", data=body, headers=headers) as answer:
            await answer.read()
            assert answer.status not in (400, 413, 415), await answer.text()
            return str(answer.status)
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
        return type(error).__name__


class Trainers:
    """What the ranks do with commands: acknowledge each once, and keep how often each came."""

    def __init__(self, kafka: str, ranks: int) -> None:
        self._kafka, self._ranks = kafka, ranks
        self.came: Counter[str] = Counter()
        self.commands: dict[str, Command] = {}

    async def __aenter__(self) -> Trainers:
        self._producer = AIOKafkaProducer(**reach(self._kafka), enable_idempotence=False)
        self._consumer = AIOKafkaConsumer(
            topics.REMEDIATION_COMMANDS, **reach(self._kafka), auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )  # fmt: skip
        await self._producer.start()
        await self._consumer.start()
        self._task = asyncio.ensure_future(self._obey())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._consumer.stop()
        await self._producer.stop()

    async def _obey(self) -> None:
        async for message in self._consumer:
            command = commands.decode_command(message.value)
            self.came[command.id] += 1
            self.commands[command.id] = command
            for rank in range(self._ranks):
                now = cloudevents.rfc3339(time.time_ns())
                ack = commands.Ack(
                    command.id, command.run, commands.SUCCEEDED, now, command.attempt, rank=rank
                )
                await self._producer.send_and_wait(
                    topics.REMEDIATION_ACKS, ack.encode(), key=command.run.encode()
                )


class Mortal(Protocol):
    """What can be killed and started again."""

    name: str

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""

    def start(self) -> None:
        """The same again; does not wait for it."""

    def ready(self) -> bool:
        """Whether it is back."""

    def ended(self) -> bool:
        """Whether it gave up by itself, as it may while another is away: who runs it starts it again."""


class Killer:
    """Kills one part after the other for as long as it runs, and starts it again at once.

    One that is not back yet is left alone until its next turn: what never runs shows nothing. ``most``: how
    many kills, so that a machine on which nothing comes back in time ends its test too.
    """

    def __init__(self, parts: Sequence[Mortal], every_s: float, most: int) -> None:
        self._parts, self._every_s, self._most = parts, every_s, most
        self.kills: Counter[str] = Counter()

    async def __call__(self) -> None:
        for part in itertools.cycle(self._parts):
            await asyncio.sleep(self._every_s)
            if part.ended():
                part.start()
            elif sum(self.kills.values()) < self._most and await asyncio.to_thread(part.ready):
                # From this thread: a child dies with the thread that started it.
                part.kill()
                part.start()
                self.kills[part.name] += 1


async def traffic(
    site: Site, load: Load, trouble: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> tuple[Counter[str], set[str]]:
    """Send the whole load in the midst of trouble, which ends then if it has no end of its own.

    The runs end when each has got its command: to one that is over none is sent. How the sender was answered,
    and the commands that the trainers got.
    """
    last = load.flushes / load.pace
    async with Trainers(site.kafka, load.ranks) as trainers:
        troubling = asyncio.ensure_future(trouble()) if trouble is not None else None
        tries = await send(site.otlp, [one for one in load.requests if one.due_s < last])
        await _patiently(lambda: len(trainers.came) >= load.runs)
        tries += await send(site.otlp, [one for one in load.requests if one.due_s >= last], at_once=True)
        if troubling is not None:
            if isinstance(trouble, Killer):
                troubling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await troubling
        return tries, set(trainers.came)


async def _patiently(condition: Callable[[], bool]) -> None:
    """Until it holds, or for so long that what is counted later will say what is missing."""
    deadline = time.monotonic() + COMMANDS_S
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)


def wait_all_ready(site: Site) -> None:
    """After the last kill: every part is back."""
    for part in site.parts.values():
        if part.ended():
            part.start()
        wait_for(part.ready, READY_S, f"{part.name} to be back")
