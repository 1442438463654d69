"""The embedded broker of a stack is replaced when it holds too much, under a run that goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream import history, upkeep
from stream.stack import Stack
from stream.upkeep import MIB, Limits, Upkeep
from tests.faults.rig import Trainer, check_ledger
from tests.stream.loop_rig import RULES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

LIMITS = Limits(512 * MIB, records=40)
REPLACEMENTS = [1, pytest.param(6, marks=pytest.mark.nightly)]


class Embedded:
    """A stack of this process, with rules that fire at known steps."""

    def __init__(self, folder: Path) -> None:
        pack = folder / "rules"
        pack.mkdir()
        (pack / "rig.yaml").write_text(RULES)
        self.stack = Stack(folder / "data", ports="auto", mode="shadow", rules=[pack])
        self.told: list[str] = []
        self.upkeep = Upkeep(self.stack, LIMITS, self.told.append)

    def rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the history."""
        with history.connect(self.stack.clickhouse) as client:
            return [tuple(row) for row in client.query(query, parameters=parameters).result_rows]

    @property
    def replaced(self) -> int:
        """How often the broker was."""
        return sum(line.startswith("broker: replaced in") for line in self.told)


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Embedded]:
    """A running one, which looks at its broker all the time."""
    monkeypatch.setattr(upkeep, "_LOOK_S", 0.1)
    monkeypatch.setattr(upkeep, "_COUNT_S", 1.0)
    found = Embedded(tmp_path)
    try:
        found.stack.start()
        yield found
    finally:
        found.stack.stop(lambda: True)


@pytest.mark.parametrize("times", REPLACEMENTS)
def test_a_broker_that_is_replaced_loses_and_doubles_nothing(
    embedded: Embedded, tmp_path: Path, times: int
) -> None:
    """Every step is in the history once, and every transition was made once, at its own step."""
    endpoint = embedded.stack.endpoints["otlp_http"]
    assert endpoint is not None
    trainer = Trainer(tmp_path, "trimmed", endpoint, 0.02)
    deadline = time.monotonic() + 240
    while embedded.replaced < times and time.monotonic() < deadline:
        embedded.stack.check()
        embedded.upkeep.look()
        time.sleep(0.05)
    assert embedded.replaced >= times, embedded.told
    steps = trainer.finish()
    check_ledger(embedded, "trimmed", steps)
    print(f"{steps} steps; scale 1/500 of {upkeep.limits()}", *embedded.told, sep="\n")
