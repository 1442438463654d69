"""Values that nobody should log: each costs one counted error, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

import emitter
from emitter.testing import Captured

TEN_GB = 10 * 1000**3


class UnusualError(Exception):
    """Not an error of any type that a library would raise."""


class RaisesInFloat:
    def __float__(self) -> float:
        raise UnusualError


class RaisesEverywhere:
    """Also where it is only looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise UnusualError

    def __float__(self) -> float:
        raise UnusualError

    def __len__(self) -> int:
        raise UnusualError

    def __bool__(self) -> bool:
        raise UnusualError

    def __eq__(self, other: object) -> bool:
        raise UnusualError

    __hash__ = object.__hash__


class Endless:
    """An object with cycles, which prints as what it holds."""

    def __init__(self) -> None:
        self.mine: list[Any] = [self, {"me": self}]

    def __repr__(self) -> str:
        return f"Endless({self.mine!r})"


def array_on_disk(folder: Path) -> Any:
    """10 GB of zeros in a file with holes: whoever reads it all, or copies it, is seen."""
    path = folder / "array"
    with path.open("wb") as file:
        file.truncate(TEN_GB)
    return np.memmap(path, dtype=np.float64, mode="r")


HOSTILE: dict[str, Callable[[Path], Any]] = {
    "raises in __float__": lambda folder: RaisesInFloat(),
    "raises everywhere": lambda folder: RaisesEverywhere(),
    "10 GB array": array_on_disk,
    "10 GB array of one number": lambda folder: np.broadcast_to(np.float64(1.0), TEN_GB // 8),
    "10 GB tensor": lambda folder: torch.ones(()).expand(TEN_GB // 4),
    "list": lambda folder: [1.0] * 1_000_000,
    "object with cycles": lambda folder: Endless(),
    "dict with cycles": lambda folder: _cycle(),
    "tensor on the meta device": lambda folder: torch.empty((), device="meta"),
    "10 GB on the meta device": lambda folder: torch.empty(TEN_GB // 4, device="meta"),
    "string": lambda folder: "0.5",
    "long string": lambda folder: "x" * 10_000_000,
    "bytes": lambda folder: b"0.5",
    "complex": lambda folder: 1 + 2j,
    "class": lambda folder: RaisesInFloat,
    "function": lambda folder: math.sin,
}


def _cycle() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["again"] = made
    return made


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_value_costs_one_counted_error(captured: Captured, tmp_path: Path, what: str) -> None:
    """The step goes with its other values; one bad value is counted; nothing large was read or copied."""
    value = HOSTILE[what](tmp_path)
    before = psutil.Process().memory_info()

    emitter.step(7, loss=0.5, odd=value, lr=0.1)
    found = [dict(log.attributes) for log in captured.named("train.step")]

    after = psutil.Process().memory_info()
    assert found == [{"train.step": 7, "train.seq": 1, "loss": 0.5, "lr": 0.1}]
    assert captured.session.queue.totals == {"bad_value": 1}
    assert after.rss - before.rss < 64e6


KEYS = [1, None, 0.5, ("a", "b"), b"loss", RaisesInFloat(), torch.tensor(1.0)]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: type(key).__name__)
def test_a_key_that_is_no_string_costs_one_counted_error(captured: Captured, key: Any) -> None:
    """The value under it is left out, the others arrive."""
    emitter.step(7, {key: 1.0, "loss": 0.5})

    assert [dict(log.attributes) for log in captured.named("train.step")] == [
        {"train.step": 7, "train.seq": 1, "loss": 0.5}
    ]
    assert captured.session.queue.totals == {"bad_value": 1}


def test_metrics_that_are_no_dict_cost_one_counted_error(captured: Captured) -> None:
    """Whatever stands where the metrics should be."""
    odd: list[Any] = [RaisesEverywhere(), [("loss", 1.0)], 3.0, "loss"]
    for place, metrics in enumerate(odd):
        emitter.step(place, metrics, lr=0.1)

    found = [log.attributes for log in captured.named("train.step")]
    assert [one["lr"] for one in found] == [0.1] * len(odd)
    assert captured.session.queue.totals == {"bad_value": len(odd)}
