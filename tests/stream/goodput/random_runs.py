"""Runs in which anything may happen, told by a seed."""

from __future__ import annotations

import math
import random

from tests.stream.goodput.rows import MS, Attempt, Rows


def tell(rows: Rows, run: str, seed: int, base: int) -> None:
    """A run of one to three attempts that begins at ``base``."""
    chance = random.Random(seed)
    at, step = base, 0
    # How this run logs: its steps' times by the emitter, by the user, now and then, or not at all.
    timing = chance.choice(["gap", "own", "some", "none"])
    numbers = sorted(chance.sample(range(5), chance.choice([1, 1, 2, 3])))
    for number in numbers:
        length = chance.randrange(200, 4_000) * MS
        state = chance.choice(["finished", "failed", "killed", "started", ""])
        role, rank = chance.choice([("trainer", 0), ("trainer", 3), ("actor", 0), ("rollout", 2)])
        one = Attempt(rows, run, at, at + length, number, state, role, rank)
        if chance.random() < 0.5:
            later = at + length + chance.randrange(0, 300) * MS
            one.seen("supervisor", -1, at, later, chance.choice(["launched", "exited", "gave_up"]))
        step = max(0, step - chance.randrange(0, 12)) if number != numbers[0] else 0
        step = _steps(chance, one, timing, step)
        _troubles(chance, one)
        at += length + chance.choice([-50, 0, 100, 900]) * MS


def _steps(chance: random.Random, one: Attempt, timing: str, step: int) -> int:
    at = one.began + chance.randrange(0, 400) * MS
    before: int | None = None
    while at < one.ended + chance.choice([0, 0, 30 * MS]):
        values: dict[str, float] = {}
        gap = None if before is None else (at - before) / 1e9
        if timing == "gap" and gap is not None:
            values["step_time"] = gap
        elif timing == "own" or (timing == "some" and chance.random() < 0.4):
            values["step_time"] = chance.choice([0.004, 0.01, 0.05, 2.0, -1.0, math.nan, math.inf])
        if chance.random() < 0.7:
            values["data_time"] = chance.choice([0.0, 0.001, 0.02, 0.5, math.nan, -3.0])
        named = step if chance.random() < 0.95 else -1
        one.step(at, named, values)
        if chance.random() < 0.2:  # other ranks and roles do not count
            one.step(at + MS, step + 50, {"step_time": 5.0}, rank=one.rank + 1)
        before, draw = at, chance.random()
        at += chance.choice([3, 11, 20, 20, 20, 60, 500]) * MS
        step = (
            step if draw < 0.05 else max(0, step - 7) if draw < 0.1 else step + chance.choice([1, 1, 1, 10])
        )
    return step


def _troubles(chance: random.Random, one: Attempt) -> None:
    length = one.ended - one.began

    def moment() -> int:
        return one.began + chance.randrange(-20, length // MS + 20) * MS + chance.randrange(1_000)

    for _ in range(chance.choice([0, 0, 1, 3])):
        at = moment()
        until = chance.choice([None, at + chance.randrange(1, 900) * MS])
        one.hang(at, until, chance.choice([0.0, 0.25]), chance.choice(["hang", "nccl_timeout", "nan_loss"]))
    for _ in range(chance.choice([0, 1, 2])):
        at = moment()
        one.pause(at, chance.choice([None, at + chance.randrange(1, 400) * MS]))
    for place in range(chance.choice([0, 2, 6])):
        at, took, identity = moment(), chance.randrange(1, 200) * MS, f"{one.number}-{place}"
        one.span(chance.choice(["checkpoint.save", "checkpoint.load"]), at, took, identity)
        if chance.random() < 0.5:
            one.span("checkpoint.stage", at, took // 3, identity + "s", identity)
        if chance.random() < 0.5:
            one.span("checkpoint.save", at, took, identity + "r", rank=one.rank + 5)
