"""Two ranks of a real job: torchrun, DDP over gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from stream.offline.finding import find
from stream.offline.streams import Ordered

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path
from emitter.integrations.huggingface import TrainwardenCallback
from tests.integrations import tiny
tiny.trainer(
    Path(sys.argv[1]), [TrainwardenCallback(run="two")], max_steps=3, eval_strategy="steps", eval_steps=3,
    save_strategy="steps", save_steps=3,
).train()
"""


@pytest.mark.nightly
def test_every_rank_reports_its_steps_and_one_the_rest(tmp_path: Path) -> None:
    """Evaluations, checkpoints and the summary are the same on all ranks."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "TRAINWARDEN_ENDPOINT": f"file:{tmp_path}/telemetry", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

    ran = subprocess.run(
        [*command, script, tmp_path / "out"], env=env, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    (group,) = find([tmp_path / "telemetry"], None, [])
    points = Ordered(group, lambda error: pytest.fail(str(error)))
    seen = Counter((point.name, point.rank) for point in points)
    assert (seen["train.step", 0], seen["train.step", 1]) == (3, 3)
    for name in ("train.eval", "checkpoint.started", "checkpoint.save"):
        assert (seen[name, 0], seen[name, 1]) == (1, 0)
