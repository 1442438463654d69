"""`emitter.watch` in a world of two: real processes, DistributedDataParallel over gloo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RANK = """
import json, sys
import torch
import torch.distributed as dist
import emitter
from emitter.testing import capture

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()

def train(watched):
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

plain = train(False)
with capture() as captured:
    watched = train(True)
    sent = [log.attributes for log in captured.named("train.step")]
print(json.dumps({"plain": plain, "watched": watched, "sent": sent}))
dist.destroy_process_group()
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def ranks() -> list[dict[str, Any]]:
    """What the two ranks found."""
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2",
              "PYTHONPATH": str(Path.cwd()), "GLOO_SOCKET_IFNAME": "lo"}  # fmt: skip
    processes = [
        subprocess.Popen([sys.executable, "-c", RANK], env={**shared, "RANK": str(rank)},
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]  # fmt: skip
    found = []
    for process in processes:
        out, problems = process.communicate(timeout=170)
        assert process.returncode == 0, problems
        found.append(json.loads(out.splitlines()[-1]))
    return found


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
