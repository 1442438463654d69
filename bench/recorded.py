"""``trainwarden diagnose`` of a history of 20,000 points, after start-up, against only parsing its JSON."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Final

from bench.row import Row
from bench.steps import rate, records
from stream import resources
from stream.offline.finding import find
from stream.offline.replay import Replay
from stream.rulelang import load_packs

_POINTS: Final = 20_000


def _write(path: Path) -> None:
    with path.open("w") as file:
        for record in records(_POINTS):
            step = record.pop("train.step")
            del record["train.seq"]
            file.write(json.dumps({"step": step, **record}) + "\n")


def measure() -> list[Row]:
    """Seconds from the file to the findings, all packs on."""
    rules = load_packs([resources.path("rules")])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        _write(path)

        def ours() -> None:
            for group in find([path], None, []):
                list(Replay(group, rules))

        def peer() -> None:
            for line in path.read_bytes().splitlines():
                json.loads(line)

        return [
            Row(
                "diagnose 20,000 points, after start-up", 1 / rate(ours, 1), 1 / rate(peer, 1), "s",
                "json.loads of each line", "< 0.5 s, aim < 0.1 s",
            )
        ]  # fmt: skip
