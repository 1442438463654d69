"""From a bad value recorded to the handler running, hop by hop, beside Prometheus firing on the same value.

Ours: a real ``trainwarden up`` (embedded broker, gateway, worker, history) with the packs that ship, and a
trainer process that steps every 5 ms (``bench/latency_trainer.py``). Each trial is a session with a run of
its own: steps, then a loss that is NaN for good, until the handler registered for ``save`` runs. The line for
commands is open before the value is recorded; starting is not measured. All times are of this machine's
clock: the trainer's readings, the times in acknowledgements, and those that writers gave their Kafka records
(whole milliseconds), read back after the last trial so that reading disturbs nothing. As many runs acted on
within minutes would trip the circuit breaker: the policy file of this bench sets it too high to matter, and
no budgets; cooldowns are a run's own, and nothing else is different from the defaults.

Prometheus: see ``bench/prometheus.py``. ``python -m bench.latency --trials 20`` is the quick form.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

from bench import prometheus
from bench.row import Row
from emitter.vocabulary import cloudevents, commands, diagnoses, stack, topics
from stream import events
from stream.remediate import reports

TRIALS: Final = 200
RULE: Final = "loss-not-finite"
HOPS: Final = (
    ("recorded", "sent", "trainer to gateway to otlp_logs"),
    ("sent", "decoded", "ingest: to train.events"),
    ("decoded", "diagnosed", "diagnose: to train.diagnoses"),
    ("diagnosed", "reported", "report: to remediation.intents"),
    ("reported", "commanded", "arbiter: to remediation.commands"),
    ("commanded", "received", "read by the trainer, signature checked"),
    ("received", "scheduled", "trainer: allowed, scheduled"),
    ("scheduled", "handled", "wait for the step boundary, not in the whole"),
)
_TARGETS: Final = {50: "<= 150 ms, aim <= 60 ms", 99: "<= 500 ms"}
_POLICY: Final = "breaker: {runs: 1000000, within: 1s}\nbudgets: []\n"
_START_S: Final = 150.0
_STOP_S: Final = 60.0
_TRIAL_S: Final = 60.0
_READ_S: Final = 120.0

Trial = dict[str, float]
"""Unix milliseconds at each station of HOPS."""


def measure(trials: int = TRIALS) -> list[Row]:
    """Milliseconds, p50 and p99: the whole beside Prometheus, each hop beside the whole."""
    found = _ours(trials)
    peer = prometheus.firing_ms(trials)
    rows = []
    for share, target in _TARGETS.items():
        whole = percentile([trial["scheduled"] - trial["recorded"] for trial in found], share)
        name = f"bad value recorded to handler, p{share} of {trials}"
        rows.append(Row(name, whole, percentile(peer, share), "ms", "Prometheus at 1 s, firing", target))
        for begin, end, what in HOPS:
            hop = percentile([trial[end] - trial[begin] for trial in found], share)
            rows.append(Row(f"  {what}, p{share}", hop, whole, "ms", "the whole"))
    return rows


def percentile(values: list[float], share: int) -> float:
    """The value that ``share`` percent do not exceed (nearest rank)."""
    return sorted(values)[math.ceil(share / 100 * len(values)) - 1]


def _ours(trials: int) -> list[Trial]:
    with tempfile.TemporaryDirectory() as folder, _up(Path(folder)) as env:
        told = _trainer(env, trials)
        kafka = json.loads((Path(folder) / stack.STACK_FILE).read_text())["endpoints"]["kafka"]
        return asyncio.run(_stations(kafka, told))


@contextmanager
def _up(folder: Path) -> Iterator[dict[str, str]]:
    """A running stack with its data in this folder: the environment by which a trainer finds it."""
    policy = folder / "policy.yaml"
    policy.write_text(_POLICY)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRAINWARDEN_")}
    env = {**clean, stack.ENV_DATA_DIR: str(folder)}
    argv = [sys.executable, "-m", "stream.cli", "up", "--ports", "auto", "--quiet"]
    with subprocess.Popen(argv, env={**env, "TRAINWARDEN_POLICY": str(policy)}) as up:
        try:
            end = time.monotonic() + _START_S
            while stack.read_stack(folder) is None:
                assert up.poll() is None, f"the stack ended with {up.returncode}"
                assert time.monotonic() < end, "the stack did not start in time"
                time.sleep(0.1)
            yield env
        finally:
            up.terminate()
            up.wait(_STOP_S)


def _trainer(env: dict[str, str], trials: int) -> dict[str, Trial]:
    """What a trainer process saw of its trials, by run: when the value was recorded and handled."""
    argv = [sys.executable, "-m", "bench.latency_trainer", str(trials)]
    done = subprocess.run(
        argv, env=env, stdout=subprocess.PIPE, text=True, timeout=trials * _TRIAL_S, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["run"]: {name: line[name] * 1e-6 for name in ("recorded", "handled")} for line in lines}


async def _stations(kafka: str, told: dict[str, Trial]) -> list[Trial]:
    """The trials with what Kafka's topics say of them."""
    read = [
        topics.OTLP_LOGS, topics.TRAIN_EVENTS, topics.TRAIN_DIAGNOSES, topics.REMEDIATION_INTENTS,
        topics.REMEDIATION_COMMANDS, topics.REMEDIATION_ACKS,
    ]  # fmt: skip
    seen = {name: await _all(kafka, name) for name in reversed(read)}
    sent = {(one.partition, one.offset): one.timestamp for one in seen[topics.OTLP_LOGS]}
    for one in seen[topics.TRAIN_EVENTS]:
        _decoded(one, sent, told)
    for one in seen[topics.TRAIN_DIAGNOSES]:
        found = diagnoses.decode(one.value)
        if found.rule == RULE and found.state == diagnoses.FIRING:
            _note(told, found.run, "diagnosed", one.timestamp)
    for one in seen[topics.REMEDIATION_INTENTS]:
        report = reports.decode(one.value)
        if report is not None and report.diagnosis is not None and report.diagnosis["rule"] == RULE:
            _note(told, report.run, "reported", one.timestamp)
    for one in seen[topics.REMEDIATION_COMMANDS]:
        command = commands.decode_command(one.value)
        if command.action == "save":
            _note(told, command.run, "commanded", one.timestamp)
    for one in seen[topics.REMEDIATION_ACKS]:
        ack = commands.decode_ack(one.value)
        if ack.state in (commands.RECEIVED, commands.SCHEDULED):
            _note(told, ack.run, ack.state, cloudevents.parse_rfc3339(ack.time) * 1e-6)
    for run, trial in told.items():
        missing = {station for hop in HOPS for station in hop[:2]} - trial.keys()
        assert not missing, f"run {run}: no sign of {', '.join(sorted(missing))}"
    return list(told.values())


def _decoded(record: Any, sent: dict[tuple[int, int], int], told: dict[str, Trial]) -> None:
    batch = events.decode(record.value)
    if not isinstance(batch, events.Batch) or "decoded" in told.get(batch.run, {"decoded": 0}):
        return
    losses = [one.values.get("loss") for one in batch.events]
    if any(isinstance(loss, float) and math.isnan(loss) for loss in losses):
        _note(told, batch.run, "sent", sent[batch.source.partition, batch.source.first])
        _note(told, batch.run, "decoded", record.timestamp)


def _note(told: dict[str, Trial], run: str, station: str, at_ms: float) -> None:
    if run in told:
        told[run].setdefault(station, at_ms)


async def _all(kafka: str, topic: str) -> list[Any]:
    """Every record of a topic, as it stands now."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        places = consumer.assignment()
        assert places, f"{topic} has no partitions"
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        end = time.monotonic() + _READ_S
        while any([await consumer.position(place) < ends[place] for place in places]):
            assert time.monotonic() < end, f"{topic} cannot be read to its end"
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += batch
        return found
    finally:
        await consumer.stop()


def main() -> None:
    """Measure with as many trials as wanted, and print the table."""
    from bench.__main__ import print_table

    parser = argparse.ArgumentParser(prog="bench.latency", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=TRIALS)
    print_table(measure(parser.parse_args().trials))


if __name__ == "__main__":
    main()
