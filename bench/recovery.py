"""What snapshots cost while nothing happens, and what they save when a worker is killed.

One run of eight ranks is judged by all packs until its windows are full; copies of its state under other
names make the engine of 100 or 1,000 runs. The peer of a takeover from a snapshot is the replay of what the
rules look back on (``stream.diagnose.horizon``), one step a second and rank, at the rate measured here.
``python -m bench.recovery --runs 1 100 1000`` is the long form; the pause is on the embedded broker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.row import Row
from bench.steps import requests
from emitter.vocabulary import topics
from stream import broker, events, resources
from stream import topics as administration
from stream.diagnose import snapshot
from stream.diagnose.engine import Engine
from stream.diagnose.horizon import horizon_s
from stream.diagnose.partition import Partition
from stream.diagnose.replay import Replay
from stream.diagnose.taking import Taking
from stream.events import Batch, Event, Resource, Source, Tick
from stream.faustkit.outlet import partition_of
from stream.faustkit.preflight import TANSU
from stream.ports import choose
from stream.records import Incoming
from stream.rulebook import bundle
from stream.snapshots import form

RANKS: Final = 8
STEPS: Final = 400
RUNS: Final = (1, 100)
_SHIPPED_STEPS: Final = 5
"""Steps of a rank in one batch."""
_BEFORE_S: Final = 12
"""Two snapshots at least are taken in that time."""
_PATIENCE_S: Final = 180.0


@dataclass(frozen=True)
class Cost:
    """Seconds, and compressed bytes."""

    taken_s: float
    longest_s: float
    size: int
    restored_s: float


def measure(runs: Sequence[int] = RUNS, pause: bool = True) -> list[Row]:
    """Taking, size and restoring by number of runs; then the pause of a takeover."""
    rules = bundle.read([resources.path("rules")]).encode()
    loaded = bundle.loaded(rules)
    rate, piece = _judged(Engine(loaded))
    rows = []
    for count in runs:
        cost = _cost(rules, piece, count)
        behind = count * RANKS * horizon_s(loaded)
        name = f"{count} runs x {RANKS} ranks"
        rows += [
            Row(f"takeover of {name}: snapshot", cost.restored_s, behind / rate, "s",
                f"replay of {horizon_s(loaded) / 60:.0f} min"),
            Row(f"  taking it ({cost.size / 1e6:.2f} MB)", cost.taken_s, cost.restored_s, "s", "restoring"),
            Row("  longest pause", cost.longest_s * 1e3, 500.0, "ms", "p99 of the loop", "< 0.1x"),
        ]  # fmt: skip
    rows.append(Row("replay of train.events", rate, RANKS * runs[-1], "1/s", f"{runs[-1]} runs make"))
    return [*rows, _pause()] if pause else rows


def _judged(engine: Engine) -> tuple[float, bytes]:
    """Events per second of CPU, and the state of the run afterwards."""
    messages = [_batch(rank, first) for first in range(0, STEPS, _SHIPPED_STEPS) for rank in range(RANKS)]
    began = time.process_time()
    for number, message in enumerate(messages):
        engine.process(message)
        if number % RANKS == RANKS - 1:
            at = message.events[-1].time
            engine.process(Tick(events.VERSION, 0, number, 1, at))
    rate = STEPS * RANKS / (time.process_time() - began)
    piece = engine.snapshot_run("run-0")
    assert piece is not None
    return rate, piece


def _batch(rank: int, first: int) -> Batch:
    resource = Resource("run-0", rank=rank, world_size=RANKS, emitter=f"e{rank}", node="n", role="trainer")
    steps = [
        Event("train.step", (1_700_000_000 + n) * 10**9, seq=n, step=n, values=_values(rank, n))
        for n in range(first, first + _SHIPPED_STEPS)
    ]
    offset = first * RANKS + rank
    return Batch(events.VERSION, "run-0", Source("otlp_logs", 0, offset, offset), [resource], steps)


def _values(rank: int, step: int) -> dict[str, events.Value]:
    noise = ((step * 7919 + rank * 104_729) % 1000) / 1000
    return {
        "loss": 2.0 + 0.1 * noise, "grad_norm": 1.0 + 0.1 * noise, "learning_rate": 1e-3,
        "tokens_per_second": 1e5 + 1e3 * noise, "step_time": 1.0 + 0.01 * noise, "data_time": 0.01,
    }  # fmt: skip


def _cost(rules: bytes, piece: bytes, count: int) -> Cost:
    partition = Partition(rules, Engine(bundle.loaded(rules)))
    tick = events.encode(Tick(events.VERSION, 0, 0, 1, (1_700_000_000 + STEPS) * 10**9))
    record = Incoming("train.events", 0, 0, tick, timestamp_ms=1)
    partition.take(record)
    for number in range(count):
        partition.engine.adopt(_renamed(piece, f"run-{number}"))
    taking, chunks, longest = Taking(partition), [], 0.0
    began = turn = time.process_time()
    while (some := taking.next()) is not None:
        longest = max(longest, time.process_time() - turn)
        chunks += [_packed(taking, chunk) for chunk in some]
        turn = time.process_time()
    chunks += [_packed(taking, chunk) for chunk in taking.packer.rest()]
    taken_s = time.process_time() - began
    began = time.process_time()
    replay = Replay(form.assemble(taking.head(), chunks))
    replay.take(record)
    assert len(replay.done(1).engine.runs) == count
    return Cost(taken_s, longest, sum(map(len, chunks)), time.process_time() - began)


def _packed(taking: Taking, chunk: bytes) -> bytes:
    packed = form.pack(chunk)
    taking.packer.count(packed)
    return packed


def _renamed(piece: bytes, name: str) -> bytes:
    state: dict[str, Any] = snapshot.decode(piece)
    (run,) = state["runs"]
    for emitter in run["emitters"]:
        emitter[1] = msgspec.to_builtins(
            msgspec.structs.replace(msgspec.convert(emitter[1], Resource), run=name)
        )
    return snapshot.encode({**state, "runs": [{**run, "id": name}]})


def _pause() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        paused_s = asyncio.run(_paused(Path(folder)))
    name = "worker killed to first new diagnosis"
    return Row(name, paused_s, TANSU.session_timeout_s, "s", "the group's session timeout")


async def _paused(folder: Path) -> float:
    ports = choose(["broker", "one", "two"], "auto")
    command = broker.command(ports["broker"])
    with ExitStack() as processes:
        _begin(processes, command.argv, folder, command.env)
        await broker.wait_ready(command.bootstrap)
        (await administration.apply(command.bootstrap, 2)).check()
        workers = {
            name: _begin(processes, _worker(command.bootstrap, ports[name], folder), folder)
            for name in ("one", "two")
        }
        await _until(lambda: all(_held(ports[name]) for name in workers))
        producer = AIOKafkaProducer(bootstrap_servers=command.bootstrap, enable_idempotence=False)
        consumer = AIOKafkaConsumer(topics.TRAIN_DIAGNOSES, bootstrap_servers=command.bootstrap)
        await producer.start()
        await consumer.start()
        try:
            return await _killed(workers["one"], _held(ports["one"])[0], producer, consumer)
        finally:
            await consumer.stop()
            await producer.stop()


async def _killed(worker: Any, partition: int, producer: Any, consumer: Any) -> float:
    run = next(
        name for name in (f"run-{n}" for n in range(99)) if partition_of(name.encode(), 2) == partition
    )
    for payload in _requests(run, 0, _BEFORE_S * 20):
        await producer.send_and_wait(topics.OTLP_LOGS, payload)
        await asyncio.sleep(0.05)
    worker.kill()
    began = time.monotonic()
    (bad,) = requests([{"train.seq": _BEFORE_S * 20, "train.step": _BEFORE_S * 20, "loss": math.nan}], run)
    await producer.send_and_wait(topics.OTLP_LOGS, bad)
    while True:
        for found in (await consumer.getmany(timeout_ms=50)).values():
            if any(record.key == run.encode() for record in found):
                return time.monotonic() - began
        if time.monotonic() - began > _PATIENCE_S:
            raise TimeoutError(f"no diagnosis within {_PATIENCE_S:.0f} s after the worker was killed")


def _requests(run: str, first: int, count: int) -> list[bytes]:
    steps = [{"train.seq": n, "train.step": n, "loss": 1.0, "grad_norm": 1.0} for n in range(first, count)]
    return [payload for one in steps for payload in requests([one], run)]


def _begin(processes: ExitStack, argv: Sequence[str], folder: Path, env: Any = None) -> Any:
    log = processes.enter_context((folder / "log").open("ab"))
    child = processes.enter_context(subprocess.Popen(argv, env=env, stdout=log, stderr=log))
    processes.callback(child.kill)
    return child


def _worker(kafka: str, port: int, folder: Path) -> list[str]:
    return [
        sys.executable, "-m", "stream.cli", "worker", "--kafka", kafka, "--mode", "shadow",
        "--health-port", str(port), "--data-dir", str(folder / "shared"),
    ]  # fmt: skip


def _held(port: int) -> list[int]:
    """The one partition of the events that this worker has; nothing before there is one for each."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            held = json.load(answer)["partitions"].get(topics.TRAIN_EVENTS, [])
    except OSError:
        return []
    return held if len(held) == 1 else []


async def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise TimeoutError(f"two workers did not share the partitions within {_PATIENCE_S:.0f} s")
        await asyncio.sleep(0.1)


def main() -> None:
    """Print the rows."""
    from bench.__main__ import print_table

    parser = argparse.ArgumentParser(prog="bench.recovery", description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=list(RUNS))
    parser.add_argument("--no-pause", action="store_true", help="no worker is started and killed")
    options = parser.parse_args(sys.argv[1:])
    print_table(measure(options.runs, not options.no_pause))


if __name__ == "__main__":
    main()
