"""``trainwarden diagnose`` of a history of 20,000 points, after start-up, against only parsing its JSON."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.row import Row
from bench.steps import rate, records
from stream import resources
from stream.offline.diagnosing import Diagnosing, Options
from stream.rulelang import load_packs
from stream.rulelang.model import RuleSet

_POINTS: Final = 20_000
_TARGET: Final = "< 0.5 s, aim < 0.1 s"
_NO_RULES: Final = RuleSet((), ())


def _write(folder: Path) -> dict[str, Path]:
    """The same history as JSON lines, as CSV, and as a Hugging Face Trainer leaves it."""
    history = [{"step": record.pop("train.step"), **record} for record in records(_POINTS)]
    for record in history:
        del record["train.seq"]
    paths = {
        "JSON lines": folder / "history.jsonl",
        "CSV": folder / "history.csv",
        "trainer_state.json": folder / "trainer_state.json",
    }
    paths["JSON lines"].write_text("".join(json.dumps(record) + "\n" for record in history))
    with paths["CSV"].open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    paths["trainer_state.json"].write_text(json.dumps({"log_history": history}, indent=2))
    return paths


def _diagnose(rules: RuleSet, path: Path) -> Callable[[], None]:
    """The whole command but for its start: from the file to what a person reads."""

    def run() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            Diagnosing(rules, Options()).run([path])

    return run


def measure() -> list[Row]:
    """CPU seconds from the file to the findings: with all packs on, and of everything but the engine."""
    rules = load_packs([resources.path("rules")])
    with tempfile.TemporaryDirectory() as folder:
        paths = _write(Path(folder))

        def peer() -> None:
            for line in paths["JSON lines"].read_bytes().splitlines():
                json.loads(line)

        rows = []
        for name, path in paths.items():
            for what, ruleset in (("all packs", rules), ("no rules: reading and output alone", _NO_RULES)):
                ours = 1 / rate(_diagnose(ruleset, path), 1)
                title = f"diagnose 20,000 points of {name}, {what}"
                rows.append(Row(title, ours, 1 / rate(peer, 1), "s", "json.loads of each line", _TARGET))
        return rows
