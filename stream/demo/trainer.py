"""The example trainer as a child process, with the environment by which its emitter finds the stack."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stream import resources
from stream.children import Child, Children
from stream.demo.fault import Fault

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
NAME = "trainer"
HOLD_S = "150"
"""How long a trainer that is done waits for a rollback: parts that start again take their time."""
_SUPERVISED = (
    sys.executable, "-m", "stream.cli", "run", "--hang-after", "8", "--backoff", "0.2", "--",
)  # fmt: skip

_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4")


@dataclass(frozen=True)
class Job:
    """What to train. ``out`` is where checkpoints and the trainer's summary go."""

    run: str
    fault: Fault
    steps: int
    seed: int
    out: Path

    def start(self, children: Children, environment: Mapping[str, str]) -> Child:
        """Start it; ``environment`` names the stack."""
        self.out.mkdir(parents=True, exist_ok=True)
        argv = [
            *(_SUPERVISED if self.fault.cause is not None else ()),
            sys.executable, *(_TORCHRUN if self.fault.ranks > 1 else ()),
            str(resources.path("examples") / "train_gpt.py"), "--hold", HOLD_S,
            "--steps", str(self.steps), "--fault", str(self.fault), "--seed", str(self.seed),
            "--threads", "1", "--out", str(self.out),
        ]  # fmt: skip
        return children.start(NAME, argv, env=self._environment(environment), cwd=self.out)

    def steps_run(self) -> int | None:
        """The calls of ``emitter.step`` that the trainer counted; None when it wrote no summary."""
        try:
            return int(json.loads((self.out / "summary.json").read_text())["steps_run"])
        except (OSError, ValueError, KeyError):
            return None

    def _environment(self, stack: Mapping[str, str]) -> dict[str, str]:
        # Nothing of a launcher or another stack around us may reach this run.
        ours = ("TRAINWARDEN_", "OTEL_", "SLURM_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), env.get("PYTHONPATH")]))
        return {
            **env, **stack, "TRAINWARDEN_RUN_ID": self.run, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
