"""Rules on numbers, spans and heartbeats: on noise as real runs have it, and on the emitter's own records."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from emitter.vocabulary import events as words
from stream.diagnose.engine import Engine
from stream.events import VERSION, Batch, Event, Resource, Source, Tick, Value
from tests.rules.trainers import RULES, SECOND, Trainer, told

SLOW = RULES.only(
    frozenset(
        {"straggler", "straggler-data", "straggler-compute", "steps-apart", "data-stall", "data-stall-always"}
    )
)
HOST = RULES.only(
    frozenset({"disk-low", "disk-filling", "host-memory-low", "host-memory-leak", "shm-low", "gpu-throttle",
               "gpu-throttle-thermal", "gpu-hot", "ecc-counter"})
)  # fmt: skip
GIB = 1 << 30
Numbers = dict[str, Value]
Fired = list[tuple[str, int | None]]


def fired(rules: object, records: Iterator[tuple[float, int, str, int, Numbers]], world: int) -> Fired:
    """Which rules fired on which rank, of records (time, rank, event, step, values) in order of time."""
    engine, made = Engine(rules), []  # type: ignore[arg-type]
    who = [
        Resource("r", rank=rank, world_size=world, node=f"n{rank // 8}", role="trainer", emitter=f"e{rank}")
        for rank in range(world)
    ]
    offset, ticked = 0, 0.0
    for offset, (at, rank, name, step, values) in enumerate(records):
        event = Event(name, int(at * SECOND), step=step, values=values)
        made += engine.process(Batch(VERSION, "r", Source("t", 0, offset, offset), [who[rank]], [event]))
        if at >= ticked:
            made += engine.process(Tick(VERSION, 0, offset, 1, int(at * SECOND)))
            ticked = at + 5
    made += engine.process(Tick(VERSION, 0, offset + 1, 1, int((ticked + 60) * SECOND)))
    made += engine.drain()
    return [(one.rule, one.rank) for one in made if one.state == "firing"]


def steps(
    world: int, count: int, numbers: Callable[[random.Random, int, int], Numbers], seed: int
) -> Iterator[tuple[float, int, str, int, Numbers]]:
    """Synchronous steps about a second apart; ranks report in any order."""
    chance, at = random.Random(seed), 0.0
    for step in range(count):
        ranks = list(range(world))
        chance.shuffle(ranks)
        for rank in ranks:
            yield at + chance.random() / 10, rank, words.STEP, step, numbers(chance, step, rank)
        at += 1.0


def jitter(chance: random.Random, rank: int) -> float:
    """A step time with ranks that differ by some per cent, and one step in thirty with a long tail."""
    tail = chance.paretovariate(1.2) if chance.random() < 0.03 else 1.0
    return (1 + 0.03 * (rank % 3)) * chance.lognormvariate(0, 0.15) * min(tail, 60.0)


def natural(chance: random.Random, step: int, rank: int) -> Numbers:
    """Nothing is wrong: tails, a compilation, rank 0 that evaluates alone, long samples in all."""
    time = jitter(chance, rank)
    if step == 0:
        time += 60 + 30 * (rank == 1)
    if rank == 0 and step % 50 == 49:
        time += 40
    return {"step_time": time, "data_time": 0.1 * time, "forward_time": 0.3 * jitter(chance, rank)}


def one_is_slow(chance: random.Random, step: int, rank: int) -> Numbers:
    """From step 100 on rank 3 takes 1.5 times as long."""
    time = jitter(chance, rank)
    return {"step_time": time * (1.5 if rank == 3 and step >= 100 else 1.0)}


def one_waits_for_data(chance: random.Random, step: int, rank: int) -> Numbers:
    """From step 100 on all steps take longer, since rank 2 waits for its data."""
    late = 0.6 if step >= 100 else 0.0
    time = jitter(chance, 0) + late
    return {"step_time": time, "data_time": 0.02 + (late if rank == 2 else 0.0) + 0.01 * chance.random()}


def all_are_slow(chance: random.Random, step: int, rank: int) -> Numbers:
    """The whole run slows down: there is no straggler."""
    return {"step_time": jitter(chance, rank) * (2 if step >= 100 else 1)}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("world", [3, 8])
def test_natural_jitter_makes_no_straggler(world: int, seed: int) -> None:
    """Heavy tails, differences between ranks, evaluations by rank 0, a slow start."""
    assert fired(SLOW, steps(world, 500, natural, seed), world) == []


@pytest.mark.parametrize("seed", range(2))
def test_the_slow_rank_is_named(seed: int) -> None:
    """By its step time, or by its wait for data where all wait for it; not where all are slow."""
    assert fired(SLOW, steps(8, 250, one_is_slow, seed), 8) == [("straggler", 3)]
    assert ("straggler-data", 2) in (found := fired(SLOW, steps(8, 250, one_waits_for_data, seed), 8))
    assert {rank for _, rank in found} == {2}
    assert fired(SLOW, steps(8, 250, all_are_slow, seed), 8) == []


def test_two_ranks_or_one_name_nobody() -> None:
    """Of two that differ nobody can say which one is wrong."""
    for world in (1, 2):
        assert (
            fired(SLOW, steps(world, 250, lambda *three: {"step_time": 1.0 + 2 * three[2]}, 0), world) == []
        )


def hours(
    count: float, numbers: Callable[[random.Random, float], Numbers], seed: int = 0
) -> Iterator[tuple[float, int, str, int, Numbers]]:
    """Samples of a host every fifteen seconds."""
    chance = random.Random(seed)
    for index in range(int(count * 240)):
        yield index * 15.0, 0, words.RESOURCE, 0, numbers(chance, index / 240)


def memory(used: Callable[[float], float]) -> Callable[[random.Random, float], Numbers]:
    """A host of 256 GiB that uses so many, give or take."""

    def numbers(chance: random.Random, hour: float) -> Numbers:
        gib = used(hour) + chance.gauss(0, 0.3) + 12 * (chance.random() < 0.02)
        return {"system.memory.usage": gib * GIB, "system.memory.utilization": gib / 256}

    return numbers


@pytest.mark.parametrize(
    ("used", "told_of"),
    [
        (lambda hour: 60 + 9 * hour, [("host-memory-leak", 0)]),
        (lambda hour: 60 + 80 * (1 - 2.718 ** (-hour / 0.7)), []),
        (lambda hour: 60 + 30 * (hour * 2 % 1), []),
        (lambda hour: 60 + 20 * (hour > 2) + 20 * (hour > 5), []),
        (lambda hour: 120.0, []),
        (lambda hour: 60 + 0.5 * hour, []),
    ],
    ids=["leak", "caches that fill", "sawtooth of half an hour", "steps", "flat", "for weeks"],
)
def test_only_steady_growth_is_a_leak(used: Callable[[float], float], told_of: Fired) -> None:
    """Eight hours of a host, with noise and peaks."""
    assert fired(HOST, hours(8, memory(used)), 1) == told_of


def test_a_disk_that_checkpoints_go_through_is_not_filling() -> None:
    """Each hour 300 GiB are written in ten minutes, and the checkpoint before is deleted."""

    def numbers(chance: random.Random, hour: float) -> Numbers:
        written = min(hour % 1 * 6, 1.0) * 300
        kept = 300 if hour >= 1 and hour % 1 < 0.17 else 0
        return {"system.filesystem.free": (900 - written - kept) * GIB}

    assert fired(HOST, hours(6, numbers), 1) == []


def test_a_disk_that_fills_is_told_before_it_is_full() -> None:
    """A log that grows by two gibibytes a minute; the alarm comes while there is room."""

    def numbers(chance: random.Random, hour: float) -> Numbers:
        return {"system.filesystem.free": max(0.0, 500 - 120 * hour) * GIB}

    assert fired(HOST, hours(3.95, numbers), 1) == [("disk-filling", 0)]


def test_gpus_are_judged_one_by_one() -> None:
    """Of eight GPUs one is held down by its power brake; another had memory errors before."""

    def records() -> Iterator[tuple[float, int, str, int, Numbers]]:
        for index in range(120):
            for gpu in range(8):
                reasons = 128 + 8 if gpu == 5 and index > 40 else 4
                yield index * 15.0, 0, words.RESOURCE, 0, {
                    "hw.id": f"GPU-{gpu}", "hw.gpu.utilization": 0.97, "hw.gpu.throttle_reasons": reasons,
                    "hw.gpu.temperature": 71, "hw.gpu.errors.ecc.uncorrected": 2 if gpu == 1 else 0,
                }  # fmt: skip

    assert fired(HOST, records(), 1) == [("gpu-throttle", 0)]


def test_what_the_emitter_says_of_checkpoints() -> None:
    """Two saves that are slow, and then one that raises, which says more than that none comes after it."""
    rules = RULES.only(
        frozenset(
            {"checkpoint-failed", "checkpoint-slow", "checkpoint-stale", "checkpoint-hung", "train-stalled"}
        )
    )
    one = Trainer()
    for seconds in (60, 70, 65, 60, 400, 420, 60):
        for _ in range(60):
            one.step(20.0)
        one.save(seconds)
    with pytest.raises(OSError, match="quota"), one.session.checkpoint(None, "c", "regular"):
        raise OSError("quota")
    for _ in range(400):
        one.step(20.0)
    firing = [each.made for each in told([one], rules=rules) if each.made.state == "firing"]
    assert [made.rule for made in firing] == ["checkpoint-slow", "checkpoint-failed"]
    assert "OSError: quota" in firing[1].summary
    assert firing[1].severity == "critical"


def test_a_run_that_stops_saving_is_told_from_its_last_checkpoint() -> None:
    """Three times its own interval, paused time not counted; on the rank that saves."""
    rules = RULES.only(frozenset({"checkpoint-stale", "train-stalled"}))
    one = Trainer()
    for _ in range(4):
        for _ in range(60):
            one.step(20.0)
        one.save(60)
    saved = one.now
    one.pause(7200)
    for _ in range(300):
        one.step(20.0)
    (found,) = [each for each in told([one], rules=rules) if each.made.state == "firing"]
    assert found.made.rule == "checkpoint-stale"
    assert found.time == pytest.approx(saved + 7200 + 3 * 1260, abs=2)
