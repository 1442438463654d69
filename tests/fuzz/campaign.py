"""Runs cases against a target, counts them, and keeps what was found."""

from __future__ import annotations

import faulthandler
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Protocol

import pytest

_SEED: Final = 1
SLOWEST_S: Final = 60.0
"""No case takes so long on any machine; one that does hangs, and ends the process with its stack."""


class Target(Protocol):
    """What is fuzzed. ``check`` and ``finish`` raise for what must not happen."""

    def make(self, numbers: Random) -> Any:
        """A case."""

    def check(self, case: Any) -> None:
        """One case."""

    def finish(self) -> None:
        """What can only be said of many."""


@dataclass
class Outcome:
    """What a campaign did. ``found``: cases that must not be, each with what was raised."""

    cases: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    found: list[tuple[Any, BaseException]] = field(default_factory=list)


def run(
    target: Target,
    seed: int,
    *,
    cases: int | None = None,
    seconds: float = float("inf"),
    most: int = 1,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """So many cases, or for so long; ends early with ``most`` findings."""
    numbers, outcome, began = Random(seed), Outcome(), time.monotonic()
    told = began
    while outcome.cases != cases and outcome.seconds < seconds and len(outcome.found) < most:
        case = target.make(numbers)
        _one(target, case, outcome)
        outcome.seconds = time.monotonic() - began
        if outcome.seconds + began - told > 60:
            told = outcome.seconds + began
            tell(outcome)
    target.finish()
    return outcome


def in_ci(target: Target, cases: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The same so many cases each time; says how many, and fails with the first finding."""
    _told(target, run(target, _SEED, cases=cases), _SEED, capsys)


def all_night(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    """As long as TRAINWARDEN_FUZZ_S says (600 s); the seed is new each time, and told."""
    seed = secrets.randbits(32)
    seconds = float(os.environ.get("TRAINWARDEN_FUZZ_S", "600"))
    _told(target, run(target, seed, seconds=seconds), seed, capsys)


def _told(target: Target, outcome: Outcome, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    name = type(target).__name__
    with capsys.disabled():
        print(f" [{name}: {outcome.cases} cases in {outcome.seconds:.0f} s, seed {seed}]", end="")
    for case, error in outcome.found:
        raise AssertionError(f"{name}, seed {seed}: {case!r}") from error


def _one(target: Target, case: Any, outcome: Outcome) -> None:
    # pytest has a watchdog of its own, and only one can be.
    watched = "pytest" not in sys.modules
    if watched:
        faulthandler.dump_traceback_later(SLOWEST_S, exit=True)
    began = time.monotonic()
    try:
        target.check(case)
    except Exception as error:  # noqa: BLE001 - that is what we look for
        outcome.found.append((case, error))
    outcome.cases += 1
    outcome.slowest = max(outcome.slowest, time.monotonic() - began)
    if watched:
        faulthandler.cancel_dump_traceback_later()
