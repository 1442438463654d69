"""`emitter.watch` in a world of two: real processes, DistributedDataParallel over gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import free_port

WORLD = """
import json, os, sys
from datetime import timedelta
import torch
import torch.distributed as dist
import emitter
from emitter.testing import capture

def train(rank, watched):
    torch.manual_seed(3)
    model = torch.nn.parallel.DistributedDataParallel(
        torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Dropout(0.1), torch.nn.Linear(32, 1))
    )
    torch.manual_seed(100 + rank)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    inputs, targets = torch.randn(32, 16), torch.randn(32, 1)
    if watched:
        emitter.watch(model, optimizer)
    losses = []
    for step in range(8):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        emitter.step(step, loss=losses[-1])
    return losses

def rank(number, file):
    dist.init_process_group("gloo", rank=number, world_size=2, timeout=timedelta(seconds=60))
    plain = train(number, False)
    with capture() as captured:
        watched = train(number, True)
        sent = [log.attributes for log in captured.named("train.step")]
    with open(file, "w") as out:
        json.dump({"plain": plain, "watched": watched, "sent": sent}, out)
    dist.destroy_process_group()

torch.set_num_threads(1)
# What torch imports at the first step of an optimizer is imported once, and not in each rank.
torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0).step()
children = []
for number, file in enumerate(sys.argv[1:]):
    child = os.fork()
    if child == 0:
        rank(number, file)
        sys.stdout.flush()
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitpid(child, 0)[1] for child in children) and 1)
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the two ranks found."""
    files = [tmp_path_factory.mktemp("ranks") / f"{number}.json" for number in range(2)]
    env = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
           "PYTHONPATH": str(Path.cwd()), "GLOO_SOCKET_IFNAME": "lo"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", WORLD, *files],
        env=env,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(file.read_text()) for file in files]


def test_losses_of_every_rank_are_bit_identical(ranks: list[dict[str, Any]]) -> None:
    """Two ranks with data of their own: the same losses with the watch and without it."""
    for found in ranks:
        assert found["watched"] == found["plain"]
    assert ranks[0]["plain"] != ranks[1]["plain"]


def test_ranks_agree_on_the_norm_of_what_was_reduced(ranks: list[dict[str, Any]]) -> None:
    """After the reduction the gradients are one, and so is their norm; every rank has its own times."""
    first, second = (found["sent"] for found in ranks)

    assert [sent["grad_norm"] for sent in first] == [sent["grad_norm"] for sent in second]
    for sent in (*first, *second):
        assert {"forward_time", "backward_time", "optimizer_time"} <= set(sent)
