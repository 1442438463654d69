"""Starts ranks as processes, sends them commands, and says whether they decided alike."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emitter.vocabulary.commands import FINAL_STATES, Command, Target
from tests.emitter.agreement.forked import Forks
from tests.fixtures import Child, free_port, wait_for
from tests.keys import Pair

TRAINER = Path(__file__).with_name("trainer.py")
LIMIT_S = 300.0


class Ranks:
    """The processes of one job and what they wrote."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        self.children: list[Child] = []
        self.store: Child | None = None
        self._sent: list[Command] = []
        self.pair = Pair()

    def command(self, action: str = "save", **fields: Any) -> Command:
        """Hand a command to rank 0."""
        number = len(self._sent)
        times = {"issued": "2026-01-01T00:00:00Z", "expires": "2099-01-01T00:00:00Z"}
        known = {"id": f"command-{number}", "run": "agree", "action": action, **times}
        made = Command(**{**known, **fields})
        self._sent.append(made)
        draft = self.folder / "draft"
        draft.write_bytes(self._signed(made.encode()))
        draft.rename(self.folder / f"command{number}")
        return made

    def _signed(self, payload: bytes) -> bytes:
        headers = {name: value.decode() for name, value in self.pair.headers(payload).items()}
        return base64.b64encode(payload) + b"\n" + base64.b64encode(json.dumps(headers).encode())

    def acks(self, command: Command) -> dict[int, dict[str, Any]]:
        """The final acknowledgement of each rank that has given one."""
        found = {}
        for ack in self._lines("acks.jsonl"):
            if ack["command"] == command.id and ack["state"] in FINAL_STATES:
                found[ack["rank"]] = ack
        return found

    def wait_acks(self, command: Command, ranks: int | None = None) -> dict[int, dict[str, Any]]:
        """Once so many ranks have said how it ended."""
        wanted = self.size if ranks is None else ranks

        def told() -> bool:
            return len(self.acks(command)) >= wanted

        try:
            wait_for(told, LIMIT_S, f"{wanted} acknowledgements of {command.id}")
        except BaseException:
            print(self.logs())
            raise
        return self.acks(command)

    def ran(self) -> dict[str, dict[int, int]]:
        """Per command, the count at which each rank ran it."""
        found: dict[str, dict[int, int]] = {}
        for rank in range(self.size):
            for line in self._lines(f"rank{rank}.jsonl"):
                if "ran" in line:
                    assert rank not in found.setdefault(line["ran"], {}), f"rank {rank} ran {line} twice"
                    found[line["ran"]][rank] = line["count"]
        return found

    def count(self, rank: int) -> int:
        """Calls of step() that this rank has begun."""
        path = self.folder / f"count{rank}"
        return int(path.read_bytes() or b"0") if path.exists() else 0

    def assert_no_split(self) -> None:
        """All that ran a command ran it at one count, and nobody has gone beyond that without."""
        for command, counts in self.ran().items():
            agreed = set(counts.values())
            assert len(agreed) == 1, f"{command} ran at {counts}"
            for rank in range(self.size):
                beyond = self.count(rank) > next(iter(agreed))
                assert rank in counts or not beyond, f"rank {rank} passed {command}, run at {counts}"

    def wait_steps(self, more: int = 20, ranks: list[int] | None = None) -> None:
        """Training goes on."""
        ranks = list(range(self.size)) if ranks is None else ranks
        before = {rank: self.count(rank) for rank in ranks}

        def gone_on() -> bool:
            return all(self.count(rank) >= before[rank] + more for rank in ranks)

        try:
            wait_for(gone_on, LIMIT_S, f"{more} steps more than {before}")
        except BaseException:
            print(self.logs())
            raise

    def end(self) -> list[int]:
        """Let the loops end; the exit codes of what was started."""
        (self.folder / "end").touch()
        return [self._ended(child) for child in self.children]

    def codes(self) -> list[int]:
        """Exit codes, once all have ended by themselves."""
        return [self._ended(child) for child in self.children]

    def logs(self) -> str:
        """What all have printed."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-6000:]}"
            for path in sorted(self.folder.glob("*.log"))
        )

    def _ended(self, child: Child) -> int:
        try:
            return child.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"process {child.pid} has not ended within {LIMIT_S:g} s\n{self.logs()}")

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        if not path.exists():
            return []
        whole = path.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]


@contextlib.contextmanager
def started(
    forks: Forks,
    folder: Path,
    size: int,
    *,
    own_store: bool = False,
    by: str = "forks",
    keys: Pair | None = None,
    **environment: str,
) -> Iterator[Ranks]:
    """Ranks that call step(). ``own_store``: in a process of its own; ``by`` torchrun: in its agent."""
    ranks = Ranks(folder, size)
    ranks.pair = keys or ranks.pair
    port = free_port()
    trusted = str(ranks.pair.trust(folder / "trusted_keys"))
    env = {
        **os.environ,
        "TRAINWARDEN_TRUSTED_KEYS": trusted,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path.cwd()),
        **environment,
    }
    if own_store:
        ranks.store = forks.start(["store", str(port)], folder / "store.log", env)
        ranks.store.wait_until(lambda: "up" in ranks.store.log(), "the store", LIMIT_S)  # type: ignore[union-attr]
        env["STORE_PID"] = str(ranks.store.pid)
    try:
        ranks.children += _children(forks, by, size, folder, port, env)
        ranks.wait_steps(3, [rank for rank in range(size) if str(rank) != environment.get("SILENT")])
        yield ranks
    finally:
        for child in (*ranks.children, *([ranks.store] if ranks.store else [])):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGCONT)
            child.kill()


def _children(forks: Forks, by: str, size: int, folder: Path, port: int, env: dict[str, str]) -> list[Child]:
    if by == "forks":
        asked = [[str(rank), str(size), str(folder), str(port)] for rank in range(size)]
        return [forks.start(argv, folder / f"rank{argv[0]}.log", env) for argv in asked]
    return [Child([sys.executable, *_launcher(by, size, folder, port)], folder / f"{by}.log", env)]


def _launcher(by: str, size: int, folder: Path, port: int) -> list[str]:
    if by == "torchrun":
        there = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "agree"]
        torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", str(size), *there]
        return [*torchrun, "--master-port", str(port), str(TRAINER), str(folder)]
    code = (
        "import torch.multiprocessing as mp, sys\n"
        "from tests.emitter.agreement.trainer import spawned\n"
        "if __name__ == '__main__':\n"
        f"    mp.spawn(spawned, args=({size}, {str(folder)!r}, {port}), nprocs={size})\n"
    )
    script = folder / "spawner.py"
    script.write_text(code)
    return [str(script)]


def to_ranks(*ranks: int) -> Target:
    """A target of some ranks."""
    return Target(ranks=list(ranks))
