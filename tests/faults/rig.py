"""A whole stack of real processes with a proxy on every link, and a trainer that numbers what it says."""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from clickhouse_connect.driver.exceptions import ClickHouseError

from stream import broker, history, topics
from stream.history import HistoryError
from stream.history.migrate import migrate
from tests.faults.proxy import Proxy
from tests.faults.small_disk import on_small_disk
from tests.fixtures import Child, free_port, http_request, wait_for
from tests.fixtures_clickhouse import Endpoint, start_clickhouse
from tests.stream.loop_rig import Worker

WAIT_S: Final = 150.0
BAD_EVERY: Final = 50
"""Each so many steps the gradient explodes for one step."""

SILENCE: Final = """
pack: silence
rules:
  - id: silent-rank
    category: unreachable
    summary: "No heartbeat of rank {rank}"
    absent: {of: train.heartbeat, for: 10m}
    severity: warning
    then:
      - notify: {}
"""
_SHIM: Final = Path(__file__).parent / "clock_shim"

_TRAINER: Final = """
import os, sys, time, emitter
from pathlib import Path
run, endpoint, said, pace = sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])
emitter.init(run=run, run_id=run, endpoint=endpoint, resources=False, logs=False, stacks=False, hooks=False,
             export_timeout_s=3, shutdown_s=90)
print("training", flush=True)
step = 0
while not said.exists():
    emitter.step(step, loss=1.0, grad_norm=99.0 if step % %d == %d else 1.0)
    step += 1
    time.sleep(pace)
emitter.shutdown()
print("steps", step, flush=True)
""".replace("%d", "{}").format(BAD_EVERY, BAD_EVERY - 1)


class Trainer:
    """A trainer process with a real emitter; ``finish`` gives the number of steps that it took."""

    def __init__(
        self, folder: Path, run: str, endpoint: str, pace_s: float = 0.04,
        disk: tuple[Path, str] | None = None, **env: str,
    ) -> None:  # fmt: skip
        """``disk``: a folder to mount a small one at, and its size."""
        self.run, self._said = run, folder / f"{run}.stop"
        argv = [sys.executable, "-c", _TRAINER, run, endpoint, str(self._said), str(pace_s)]
        variables = {**os.environ, "TRAINWARDEN_SPOOL": str(folder / f"{run}.spool"), **env}
        command = on_small_disk(*disk, argv) if disk else argv
        self.child = Child(command, folder / f"{run}.log", variables)

    def finish(self) -> int:
        """Let it stop training and deliver what it still has."""
        self._said.touch()
        assert self.child.process.wait(WAIT_S) == 0, self.child.log()
        words = [line.split() for line in self.child.log().splitlines() if line.startswith("steps ")]
        return int(words[-1][1])


class Clock:
    """The wall clock of all parts that are Python, which can be set; see clock_shim."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)

    @property
    def env(self) -> dict[str, str]:
        """Variables of a process that goes by it."""
        return {"TRAINWARDEN_TEST_CLOCK": str(self._file), "PYTHONPATH": str(_SHIM)}

    def set(self, ahead_s: int) -> None:
        """Seconds ahead of ours, in place: running processes have the file mapped."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", ahead_s))


class Stack:
    """The parts by name in ``parts``; ``before[X]`` is the proxy before part X."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.clock = Clock(folder)
        self.parts: dict[str, Child] = {}
        self.starts = 0
        self.before: dict[str, Proxy] = {}
        for name in ("broker", "clickhouse", "gateway"):
            self.before[name] = stack.enter_context(Proxy(free_port(), free_port()))
        stack.callback(self._kill_all)
        self.kafka = self.before["broker"].address
        self.url = f"http://{self.before['gateway'].address}"
        self.workers: dict[str, Worker] = {}
        self._rules = folder / "silence.yaml"
        self._rules.write_text(SILENCE)
        self._endpoint: Endpoint | None = None
        self._start_all()

    def _start_all(self) -> None:
        proxy = self.before["broker"]
        command = broker.command(proxy.target, advertised=proxy.port)
        self.parts["broker"] = Child(command.argv, self.folder / "broker.log", command.env)
        self.start("clickhouse")
        asyncio.run(broker.wait_ready(self.kafka, WAIT_S))
        asyncio.run(topics.apply(self.kafka)).check()
        migrate(self.clickhouse)
        self.start("history", ready=False)
        self.start("loop", ready=False)
        self.start("gateway")
        for name in ("history", "loop"):
            self.ready(name)

    @property
    def clickhouse(self) -> str:
        """URL of the endpoint itself, past the proxy."""
        return f"http://127.0.0.1:{self.before['clickhouse'].target}"

    def start(self, name: str, ready: bool = True) -> None:
        """A part of this kind (``history-2`` is another history) from nothing, on the ports it had."""
        self.starts += 1
        log = self.folder / f"{name}-{self.starts}.log"
        if name == "clickhouse":
            started = start_clickhouse(self.folder / "clickhouse", self.before[name].target)
            self.parts[name] = started.child
        elif name == "gateway":
            self.parts[name] = self._gateway(log)
        elif name.startswith("loop"):
            self.workers[name] = Worker(
                self.kafka, self.folder, mode="shadow", name=log.stem, env=self.clock.env,
                options=["--rules", str(self._rules)],
            )  # fmt: skip
            self.parts[name] = self.workers[name].child
        else:
            self.workers[name] = _History(self, log)
            self.parts[name] = self.workers[name].child
        if ready and name in self.workers:
            self.ready(name)

    def _gateway(self, log: Path) -> Child:
        port = self.before["gateway"].target
        code = (
            f"from stream import gateway; gateway.run(kafka={self.kafka!r}, port={port}, beacon_grace_s=1.0)"
        )
        child = Child([sys.executable, "-c", code], log, {**os.environ, **self.clock.env})
        child.wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the gateway", WAIT_S)
        return child

    def ready(self, name: str) -> None:
        """Wait until this worker holds partitions."""
        self.workers[name].wait_ready(WAIT_S)

    def train(self, run: str, pace_s: float = 0.04) -> Trainer:
        """A trainer that sends to the gateway."""
        trainer = Trainer(self.folder, run, self.url, pace_s)
        self.parts[f"trainer {run}"] = trainer.child
        return trainer

    def kill(self, name: str) -> None:
        """kill -9."""
        self.parts[name].kill()

    def pid(self, name: str) -> int:
        return self.parts[name].pid

    def rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the history, past the proxy."""
        with history.connect(self.clickhouse) as client:
            return [tuple(row) for row in client.query(query, parameters=parameters).result_rows]

    def stored(self, run: str) -> int:
        """How many steps of a run the history has; each counted once."""
        query = "SELECT uniqExact(seq) FROM train_steps WHERE run = {run:String} AND name = 'loss'"
        return int(self.rows(query, run=run)[0][0])

    def wait_moving(self, run: str) -> None:
        """Wait until something that is sent from now on has reached the history."""
        before = self.stored(run)
        wait_for(lambda: self._stored(run) > before, WAIT_S, f"more steps of {run} in the history")

    def _stored(self, run: str) -> int:
        try:
            return self.stored(run)
        except (HistoryError, ClickHouseError, OSError):  # the endpoint is one of the parts that are killed
            return -1

    def _kill_all(self) -> None:
        for child in self.parts.values():
            child.kill()


class _History(Worker):
    """A history worker; its health port says the same as the loop's."""

    def __init__(self, stack: Stack, log: Path) -> None:
        self.port = free_port()
        argv = [
            sys.executable, "-m", "stream.cli", "worker", "--app", "history", "--kafka", stack.kafka,
            "--clickhouse", f"http://{stack.before['clickhouse'].address}", "--health-port", str(self.port),
            "--data-dir", str(stack.folder / log.stem),
        ]  # fmt: skip
        self.child = Child(argv, log, {**os.environ, **stack.clock.env})


def answers(url: str) -> bool:
    """Whether a part says that it is ready."""
    try:
        return http_request("GET", url).status == 200
    except OSError:
        return False


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """The stack; killed at the end."""
    with ExitStack() as stack:
        yield Stack(folder, stack)


class Rows(Protocol):
    """What can be asked for rows of the history."""

    def rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Of this query."""


def check_ledger(stack: Rows, run: str, steps: int) -> None:
    """Guarantees 2 and 3: every step once in the history, every transition of a diagnosis once."""
    everything = "SELECT uniqExact(seq) FROM train_steps WHERE run = {run:String} AND name = 'loss'"
    wait_for(
        lambda: int(stack.rows(everything, run=run)[0][0]) >= steps,
        WAIT_S,
        f"{steps} steps of {run} in the history",
    )
    bad = list(range(BAD_EVERY - 1, steps, BAD_EVERY))
    expected = sorted(
        [(step, "firing") for step in bad] + [(step + 1, "resolved") for step in bad if step + 1 < steps]
    )
    query = (
        "SELECT step, toString(state) FROM train_diagnoses FINAL "
        "WHERE run = {run:String} AND rule = {rule:String} ORDER BY 1, 2"
    )
    found: list[tuple[Any, ...]] = []

    def diagnosed() -> bool:
        found[:] = stack.rows(query, run=run, rule="gradient-explosion")
        return len(found) >= len(expected)

    wait_for(diagnosed, WAIT_S, f"{len(expected)} transitions, found {found}")
    assert found == expected
    counted = stack.rows(
        "SELECT count(), uniqExact(seq), min(step), max(step), uniqExact(step) FROM train_steps "
        "WHERE run = {run:String} AND name = 'loss'", run=run,
    )  # fmt: skip
    assert counted == [(steps, steps, 0, steps - 1, steps)]
