"""Whole accidents over several ranks: the cause is told, what follows from it is quiet."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from emitter.vocabulary import events as words
from stream import resources
from stream.diagnose.engine import Engine
from stream.events import VERSION, Batch, Event, Resource, Source, Tick
from stream.rulelang import load_packs

RULES = load_packs([resources.path("rules")])
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Said:
    """A line of one rank at a second; a rank lives on the node of its tens."""

    at: float
    rank: int
    text: str


def fired(said: list[Said]) -> list[tuple[str, int | None]]:
    """Which rules fired on which rank, in the order in which they were told."""
    engine = Engine(RULES)
    ranks = sorted({line.rank for line in said})
    senders = [
        Resource("r", rank=rank, node=f"node-{rank // 10}", emitter=f"e{rank}", world_size=len(ranks))
        for rank in ranks
    ]
    made = []
    counts = dict.fromkeys(ranks, 0)
    for index, line in enumerate(sorted(said, key=lambda one: one.at)):
        counts[line.rank] += 1
        time = int(line.at * SECOND)
        event = Event(words.LOG, time, resource=ranks.index(line.rank), seq=counts[line.rank], body=line.text)
        made += engine.process(Batch(VERSION, "r", Source("t", 0, index, index), senders, [event]))
        made += engine.process(Tick(VERSION, 0, index, 1, time))
    made += engine.process(Tick(VERSION, 0, 1 << 40, 1, int((max(line.at for line in said) + 60) * SECOND)))
    made += engine.drain()
    return [(one.rule, one.rank) for one in made if one.state == "firing"]


TIMEOUT = (
    "[rank{}]:[E ProcessGroupNCCL.cpp:629] Watchdog caught collective operation timeout: WorkNCCL(Seq=8)"
)
DOWN = "[rank{}]:[E c10d:681] To avoid data inconsistency, we are taking the entire process down."
GONE = "[rank{}]: torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:77, remote process exited"

XID = [
    Said(1, 0, "NVRM: Xid (PCI:0000:41:00): 79, pid=8, name=python, GPU has fallen off the bus."),
    Said(2, 0, "RuntimeError: CUDA error: unknown error"),
    Said(3, 10, GONE.format(10)),
    Said(4, 10, TIMEOUT.format(10)),
    Said(5, 10, DOWN.format(10)),
    Said(
        6,
        0,
        "torch/distributed/elastic/multiprocessing/api.py:826] failed (exitcode: 1) local_rank: 0 (pid: 8)",
    ),
]
HOST_OOM = [
    Said(1, 0, "Memory cgroup out of memory: Killed process 71 (python3) total-vm:9kB, anon-rss:9kB"),
    Said(2, 0, "RuntimeError: DataLoader worker (pid 71) is killed by signal: Killed."),
    Said(3, 10, GONE.format(10)),
    Said(4, 0, "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:"),
]
EXCEPTION = [
    Said(1, 3, "KeyError: 'input_ids'"),
    Said(2, 0, GONE.format(0)),
    Said(3, 3, "E0302 api.py:826] failed (exitcode: 1) local_rank: 3 (pid: 9) of binary: python"),
    Said(4, 0, "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:"),
]
OTHER_NODE = [
    Said(1, 0, "Memory cgroup out of memory: Killed process 71 (python3) total-vm:9kB, anon-rss:9kB"),
    Said(2, 10, "RuntimeError: DataLoader worker (pid 99) is killed by signal: Segmentation fault."),
]
TIMEOUT_ALONE = [
    Said(1, 0, TIMEOUT.format(0)),
    Said(2, 0, DOWN.format(0)),
    Said(3, 1, TIMEOUT.format(1)),
    Said(4, 1, DOWN.format(1)),
]
FULL_DISK = [
    Said(1, 0, "RuntimeError: [enforce fail at inline_container.cc:659] . unexpected pos 704 vs 598"),
    Said(0.5, 0, "OSError: [Errno 28] No space left on device: '/ckpt/step_9/model.pt'"),
    Said(2, 0, "Failed to save checkpoint at step 9"),
]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (XID, [("xid-lost", 0)]),
        (HOST_OOM, [("host-oom", 0)]),
        (EXCEPTION, [("python-exception", 3)]),
        (OTHER_NODE, [("host-oom", 0), ("dataloader-crash", 10)]),
        (TIMEOUT_ALONE, [("nccl-timeout", 0), ("nccl-timeout", 1)]),
        (FULL_DISK, [("disk-full", 0)]),
    ],
    ids=["xid", "host oom", "exception", "oom elsewhere", "timeout alone", "full disk"],
)
def test_a_cause_is_told_and_its_symptoms_are_not(
    said: list[Said], told: list[tuple[str, int | None]]
) -> None:
    """One accident gives one diagnosis for its cause, on the rank where it happened."""
    assert fired(said) == told


def test_a_symptom_long_before_its_cause_is_told() -> None:
    """A timeout that came twenty seconds before the first word of a fault is a diagnosis of its own."""
    late = [Said(1, 0, TIMEOUT.format(0)), Said(21, 10, XID[0].text)]
    assert sorted(fired(late), key=str) == [("nccl-timeout", 0), ("xid-lost", 10)]
