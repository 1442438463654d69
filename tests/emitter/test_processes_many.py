"""Many child processes under a running emitter: nothing hangs, nothing is sent twice, nothing leaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.emitter.receiver import Receiver, attributes

STARTS = {"fork": 60, "spawn": 6, "loader": 16}
NIGHTLY = 1000

TRAINER = """
import collections, json, logging, multiprocessing, os, sys, threading, time
import emitter

def work(place):
    # What a worker may do without meaning any harm: all of it is nobody's business but its own.
    emitter.step(-1, loss=0.0)
    emitter.eval(-1, score=0.0)
    emitter.log("from a worker")
    logging.getLogger("worker").warning("from a worker")
    with emitter.phase("data"):
        pass
    if place % 10 == 0:
        emitter.init("worker", run_id="worker", endpoint=os.environ["URL"], resources=False)
        emitter.step(place, loss=1.0)
        emitter.shutdown()

def forked(count):
    for place in range(count):
        pid = os.fork()
        if pid == 0:
            work(place)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def spawned(count):
    context = multiprocessing.get_context("spawn")
    for place in range(count):
        child = context.Process(target=work, args=(place,))
        child.start()
        child.join()
        assert child.exitcode == 0, child.exitcode

def loaded(count):
    import torch
    class Numbers(torch.utils.data.Dataset):
        def __len__(self):
            return 8
        def __getitem__(self, index):
            work(1)
            return float(index)
    for _ in range(count // 4):
        loader = torch.utils.data.DataLoader(
            Numbers(), batch_size=2, num_workers=4, multiprocessing_context="fork")
        assert sum(float(batch.sum()) for batch in loader) == 28

def held():
    # Our own threads may begin late, but each only once.
    threads = collections.Counter(thread.name for thread in threading.enumerate())
    threads.subtract({name for name in threads if name.startswith("trainwarden")})
    return {"threads": +threads, "descriptors": len(os.listdir("/proc/self/fd"))}

def settled(before):
    # What ends is given time to end; a probe reads /proc fifty times a second, so descriptors come and go.
    deadline = time.monotonic() + 30
    while True:
        now = held()
        good = now["threads"] <= before["threads"] and now["descriptors"] <= before["descriptors"] + 4
        if good or time.monotonic() > deadline:
            return now
        time.sleep(0.05)

if __name__ == "__main__":
    kind, count = sys.argv[1], int(sys.argv[2])
    everything = {"resources_s": 0.02, "heartbeat_s": 0.02, "flush_s": 0.01}
    # What the end cuts off is kept, and may arrive twice under one number: not what is looked at here.
    everything |= {"shutdown_s": 300.0, "export_timeout_s": 300.0}
    emitter.init("parent", run_id="parent", endpoint=os.environ["URL"], **everything)
    way = {"fork": forked, "spawn": spawned, "loader": loaded}[kind]
    way(4)  # what libraries open once and keep
    stop, steps = threading.Event(), 0
    def train():
        # Forks meet every lock of ours in every state.
        global steps
        while not stop.is_set():
            emitter.step(steps, loss=1.0)
            logging.getLogger("parent").info("a line")
            steps += 1
            time.sleep(0.0005)
    trainer = threading.Thread(target=train)
    trainer.start()
    before = held()
    way(count)
    after = settled(before)
    stop.set()
    trainer.join()
    emitter.shutdown()
    print(json.dumps({"steps": steps, "before": before, "after": after}))
"""


def start_many(tmp_path: Path, receiver: Receiver, kind: str, count: int, timeout: float) -> None:
    """Start so many children of a kind, and look at what the parent holds and what arrived."""
    print(f"{kind}: {count} of {NIGHTLY} starts")
    script = tmp_path / "trainer.py"
    script.write_text(textwrap.dedent(TRAINER))
    env = {**os.environ, "URL": receiver.url, "PYTHONPATH": str(Path.cwd())}
    env.pop("TRAINWARDEN_DATA_DIR", None)
    command = [sys.executable, str(script), kind, str(count)]
    done = subprocess.run(command, env=env, text=True, capture_output=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    left = {
        name: n
        for name, n in found["after"]["threads"].items()
        if n > found["before"]["threads"].get(name, 0)
    }
    assert left == {}
    assert found["after"]["descriptors"] <= found["before"]["descriptors"] + 4

    check_steps(receiver, found["steps"])
    started = (count - 1) // 10 + 2 if kind != "loader" else 0
    workers = by_run(receiver, "worker")
    assert sum(record["train.step"] % 10 == 0 for record in workers) == len(workers) == started


def check_steps(receiver: Receiver, steps: int) -> None:
    """Every step of the parent once, nothing of a child under its name."""
    parent = [record["train.step"] for record in by_run(receiver, "parent")]
    lost = sum(
        attributes(record).get("lost.queue_full", 0) for record in receiver.records("train.emitter.report")
    )
    assert -1 not in parent
    assert len(parent) == len(set(parent)) == steps - lost


def by_run(receiver: Receiver, run: str) -> list[dict[str, Any]]:
    """Attributes of the train.step records of one run."""
    return [
        attributes(record)
        for request in receiver._logs
        for group in request.resource_logs
        if attributes(group.resource)["train.run.id"] == run
        for scope in group.scope_logs
        for record in scope.log_records
        if record.event_name == "train.step"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", STARTS)
def test_children_under_a_running_emitter(tmp_path: Path, receiver: Receiver, kind: str) -> None:
    """Forked, spawned, DataLoader workers: no deadlock, no double event, no leaked thread or descriptor."""
    start_many(tmp_path, receiver, kind, STARTS[kind], 150)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", STARTS)
def test_a_thousand_children(tmp_path: Path, receiver: Receiver, kind: str) -> None:
    """The same, a thousand times."""
    start_many(tmp_path, receiver, kind, NIGHTLY, 1700)
