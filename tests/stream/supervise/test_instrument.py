"""``trainwarden run --instrument`` around a torch program that knows nothing of us, below torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.stream.supervise.rig import FAST, supervise

TRAIN = """
import torch
from torch.utils.data import DataLoader, TensorDataset

torch.distributed.init_process_group("gloo")
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
for batch, in DataLoader(TensorDataset(torch.randn(24, 4)), batch_size=4, num_workers=1):
    optimizer.zero_grad()
    loss = model(batch).square().mean()
    loss.backward()
    optimizer.step()
if torch.distributed.get_rank() == torch.distributed.get_world_size() - 1:
    raise ValueError("a bad end")
torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.nightly)])
def test_a_program_below_torchrun_is_observed(tmp_path: Path, ranks: int) -> None:
    """Each rank has its steps, torchrun and the DataLoader's worker have none, and who failed is known."""
    print(f"scale: {ranks} of 2 ranks")
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    options = (*FAST, "--instrument", "--max-restarts", "0")
    done = supervise(tmp_path, [*torchrun, str(script)], options)

    steps = sorted((one.rank, one.values["train.step"]) for one in done.told if one.name == "train.step")
    assert steps == [(rank, step) for rank in range(ranks) for step in range(6)], done.err
    assert {one.rank for one in done.lifecycle("trainer", "started")} == set(range(ranks))
    assert all(one.values["grad_norm"] > 0 for one in done.told if one.name == "train.step")
    exited = done.lifecycle("supervisor", "exited")[0].values
    assert (exited["exit.cause"], exited["exception.message"]) == ("exception", "a bad end")
