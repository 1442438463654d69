"""A rank of the tests: calls step() at a pace of its own, notes every count and every command it runs.

Commands come from files in a folder, on rank 0 alone, or from KAFKA. What happens at a point of
the protocol is asked for by TRAINER_FAULT=rank:operation:key:place:act, for instance
``1:Put:vote:before:kill``: the store's client of this test does it, the emitter knows nothing of it.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import emitter
from emitter import _api
from emitter.agreement import driver
from emitter.vocabulary.commands import Ack


def main(rank: int, size: int, folder: str, port: int) -> None:
    """One rank, until a command or the test ends it, or STEPS are done."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive a launcher
    place = Path(folder)
    _arrange_fault(rank, place)
    import torch.distributed as dist

    given = f"tcp://127.0.0.1:{port}" if os.environ.get("STORE") == "given" else None
    if given is not None:
        pass  # no process group: the setting says where the store is
    elif os.environ.get("STORE") == "file":
        dist.init_process_group("gloo", init_method=f"file://{place}/store", rank=rank, world_size=size)
    elif os.environ.get("TORCHELASTIC_RUN_ID"):
        dist.init_process_group("gloo")
    else:
        store = dist.TCPStore(
            "127.0.0.1", port, size, is_master=rank == 0 and not os.environ.get("STORE_PID"),
            wait_for_workers=False,
        )  # fmt: skip
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    log = (place / f"rank{rank}.jsonl").open("a", buffering=1)
    kafka = os.environ.get("KAFKA")
    emitter.init(
        "agree", run_id=os.environ.get("RUN", "agree"), rank=rank, world_size=size, store=given,
        endpoint=f"file:{folder}/out{rank}", resources=False, spool="off", gpus="off", logs=False,
        commands=f"kafka://{kafka}" if kafka else None,
    )  # fmt: skip
    session = _api._session
    assert session is not None
    calls = _Calls(place / f"count{rank}")

    @emitter.on("save")
    def save(command: Any) -> None:
        log.write(json.dumps({"ran": command.id, "count": calls.count}) + "\n")
        if command.args.get("raise") == rank:
            raise OSError("disk full")

    rates = {"lr": 1e-3}
    emitter.tune("learning_rate", lambda: rates["lr"], lambda value: rates.update(lr=value))
    if rank == 0 and not kafka:
        acks = (place / "acks.jsonl").open("a", buffering=1)
        session.commander.send = lambda ack: _note(acks, ack)
        threading.Thread(target=_read_commands, args=(place, session.commander), daemon=True).start()
    pace = random.Random(rank)
    silent = os.environ.get("SILENT") == str(rank)
    together = os.environ.get("TOGETHER") == "1"
    number = _one(dist) if together else None
    # With a collective in every step all ranks have to end at the same one.
    while (together or not (place / "end").exists()) and calls.count < int(
        os.environ.get("STEPS", "1000000000")
    ):
        if not silent:
            calls.next()
            emitter.step(loss=1.0)
        if os.environ.get("OVERWRITES") == str(rank):
            rates["lr"] = 1e-3
        if number is not None:
            number.fill_(-1e6 if (place / "end").exists() else 1.0)
            dist.all_reduce(number)
            if number.item() < 0:
                break
        time.sleep(pace.choice((0.0, 0.001, 0.002, 0.01)))
        calls.wait_for_others(size, int(os.environ.get("SLACK", "0")))
    log.write(json.dumps({"end": calls.count}) + "\n")
    emitter.shutdown()
    log.write(json.dumps({"down": True}) + "\n")


class _Calls:
    """The number of the call, in memory and in a file that outlives a killed process."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._file = os.open(path, os.O_CREAT | os.O_RDWR)
        self.count = 0

    def wait_for_others(self, size: int, slack: int) -> None:
        """A rank that is so many calls ahead waits, as it would for the data that others still read."""
        while slack and self.count % 10 == 0 and not (self._folder / "end").exists():
            counts = [self._folder / f"count{rank}" for rank in range(size)]
            if all(path.exists() and int(path.read_bytes() or b"0") > self.count - slack for path in counts):
                return
            time.sleep(0.002)

    def next(self) -> None:
        self.count += 1
        os.pwrite(self._file, b"%20d" % self.count, 0)


def _one(dist: Any) -> Any:
    import torch

    return torch.ones(1)


def _note(acks: Any, ack: Ack) -> None:
    acks.write(json.dumps(ack.to_json()) + "\n")


def _read_commands(place: Path, commander: Any) -> None:
    number = 0
    while True:
        path = place / f"command{number}"
        if path.exists():
            payload, headers = map(base64.b64decode, path.read_bytes().split(b"\n"))
            named = {name: value.encode() for name, value in json.loads(headers).items()}
            commander.receive(payload, position=number, headers=named)
            number += 1
        else:
            time.sleep(0.005)


def _arrange_fault(rank: int, place: Path) -> None:
    """Have the driver's operation do something to this process or to the store's, once."""
    fault = os.environ.get("TRAINER_FAULT", "")
    if not fault or int(fault.split(":")[0]) != rank:
        return
    _, kind, key, when, act = fault.split(":")
    perform, done = driver.perform, threading.Event()

    def faulty(op: Any, *rest: Any) -> Any:
        hit = type(op).__name__ == kind and key in str(op) and not done.is_set()
        if hit and when == "before":
            done.set()
            _act(act, place)
        answer = perform(op, *rest)
        if hit and when == "after":
            done.set()
            _act(act, place)
        return answer

    driver.perform = faulty  # type: ignore[assignment]


def _act(act: str, place: Path) -> None:
    (place / "fault").write_text(str(time.time()))
    store = int(os.environ.get("STORE_PID") or os.getppid())
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "stop":  # the test lets us go on
        os.kill(os.getpid(), signal.SIGSTOP)
    elif act == "kill-store":
        os.kill(store, signal.SIGKILL)
    elif act == "stop-store":
        os.kill(store, signal.SIGSTOP)


def spawned(rank: int, size: int, folder: str, port: int) -> None:
    """For torch.multiprocessing.spawn."""
    main(rank, size, folder, port)


if __name__ == "__main__":
    if len(sys.argv) == 2:  # under torchrun
        main(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), sys.argv[1], 0)
    else:
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
