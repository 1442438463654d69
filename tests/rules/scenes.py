"""Scenes of training, by one rank or several: long phases that are legal, and ways to hang."""

from __future__ import annotations

from collections.abc import Callable

from tests.rules.trainers import Trainer


def crew(world: int, begin: float = 0.0, attempt: int = 0) -> list[Trainer]:
    """All ranks of a run."""
    return [Trainer(rank, world, attempt=attempt, begin=begin) for rank in range(world)]


def together(ranks: list[Trainer], *seconds: float, data: float = 0.0) -> None:
    """Steps that all ranks make in step."""
    for one in ranks:
        for each in seconds:
            one.step(each, data=data)


def alone(ranks: list[Trainer], what: Callable[[Trainer], None]) -> None:
    """Rank 0 does something; the others wait for it in the phase of training."""
    before = ranks[0].now
    what(ranks[0])
    for one in ranks[1:]:
        one.wait(ranks[0].now - before)


def evaluate(seconds: float) -> Callable[[Trainer], None]:
    """An evaluation that the trainer says."""

    def run(trainer: Trainer) -> None:
        with trainer.phase("eval"):
            trainer.wait(seconds)

    return run


def saving(seconds: float) -> Callable[[Trainer], None]:
    """A save that holds the training up."""
    return lambda trainer: trainer.save(seconds)


def pausing(seconds: float) -> Callable[[Trainer], None]:
    """A pause command."""
    return lambda trainer: trainer.pause(seconds)


def first_step_compiles(ranks: list[Trainer]) -> None:
    """Twenty minutes until the first step, said by none of the phases, and a second one of two minutes."""
    together(ranks, 1200, 120, *[1.0] * 60)


def evaluation_of_twenty_steps(ranks: list[Trainer]) -> None:
    """Every tenth step an evaluation that takes twenty times a step of thirty seconds."""
    for _ in range(4):
        together(ranks, *[30.0] * 10)
        for one in ranks:
            evaluate(600)(one)


def evaluation_by_one(ranks: list[Trainer]) -> None:
    """The same by rank 0 alone."""
    for _ in range(3):
        together(ranks, *[30.0] * 10)
        alone(ranks, evaluate(600))


def evaluation_that_reads_data(ranks: list[Trainer]) -> None:
    """Batches of an evaluation wait for data in a phase of their own, so that heartbeats say data."""
    together(ranks, *[1.0] * 40)
    for one in ranks:
        with one.phase("eval"):
            for _ in range(60):
                with one.session.phase("data"):
                    one.wait(19)
                one.wait(1)
    together(ranks, *[1.0] * 40)


def save_of_ten_minutes(ranks: list[Trainer]) -> None:
    """All ranks save for ten minutes."""
    together(ranks, *[2.0] * 30)
    for one in ranks:
        one.save(600)
    together(ranks, *[2.0] * 30)


def save_by_one(ranks: list[Trainer]) -> None:
    """Rank 0 saves for ten minutes, three times, while the others wait in the phase of training."""
    for _ in range(3):
        together(ranks, *[2.0] * 30)
        alone(ranks, lambda one: one.save(600))


def save_by_one_between_slow_steps(ranks: list[Trainer]) -> None:
    """Steps of 100 s: what one waits for another and its own next step add up."""
    for _ in range(3):
        together(ranks, *[100.0] * 6)
        alone(ranks, lambda one: one.save(290))


def pause(ranks: list[Trainer]) -> None:
    """A pause command holds all ranks for half an hour."""
    together(ranks, *[1.0] * 60)
    for one in ranks:
        one.pause(1800)
    together(ranks, *[1.0] * 60)


def pause_of_one(ranks: list[Trainer]) -> None:
    """It reached rank 0 only."""
    together(ranks, *[1.0] * 60)
    alone(ranks, lambda one: one.pause(1800))
    together(ranks, *[1.0] * 60)


def gradient_accumulation(ranks: list[Trainer]) -> None:
    """From one step to the next the number of micro-batches grows from 1 to 64, each of ten seconds."""
    together(ranks, *[10.0] * 60)
    for one in ranks:
        for _ in range(5):
            for _ in range(64):
                with one.session.phase("data"):
                    one.wait(1)
                one.wait(9)
            one.step(0.1)


def slow_but_regular(ranks: list[Trainer]) -> None:
    """Steps of ten minutes, give or take half of it."""
    together(ranks, *[600.0, 700.0, 900.0, 500.0, 1100.0, 600.0, 800.0, 400.0] * 2)


def epoch_boundary(ranks: list[Trainer]) -> None:
    """At the end of the first epoch the loader's workers start anew, for four minutes, in no phase."""
    together(ranks, *[0.5] * 200)
    together(ranks, 240.0)
    together(ranks, *[0.5] * 200)


def end_of_training(ranks: list[Trainer]) -> None:
    """The last evaluation and save are long; then it says that it ends, and is silent."""
    together(ranks, *[1.0] * 60)
    alone(ranks, evaluate(900))
    alone(ranks, lambda one: one.save(600))
    for one in ranks:
        one.session.close(0)
        one.now += 3600


def saves_beside_training(ranks: list[Trainer]) -> None:
    """A save in the background holds the phase of checkpoints while steps go on."""
    together(ranks, *[1.0] * 30)
    for one in ranks:
        with one.session.checkpoint(None, "c", "regular"):
            for _ in range(900):
                one.step(1.0)
    together(ranks, *[1.0] * 30)


LEGAL = [
    first_step_compiles, evaluation_of_twenty_steps, evaluation_by_one, evaluation_that_reads_data,
    save_of_ten_minutes, save_by_one, save_by_one_between_slow_steps, pause, pause_of_one,
    gradient_accumulation, slow_but_regular, epoch_boundary, end_of_training, saves_beside_training,
]  # fmt: skip


def in_train(ranks: list[Trainer]) -> list[Trainer]:
    """All ranks stop in the middle of a step."""
    together(ranks, *[1.0] * 60)
    return ranks


def in_data(ranks: list[Trainer]) -> list[Trainer]:
    """The loader of rank 1 gives nothing; the others wait for it."""
    together(ranks, *[1.0] * 60, data=0.3)
    slow = ranks[min(1, len(ranks) - 1)]
    slow.session.phase("data").__enter__()
    slow.progress = slow.now
    return ranks


def after_an_evaluation(ranks: list[Trainer]) -> list[Trainer]:
    """Nobody comes back from an evaluation of ten minutes."""
    together(ranks, *[1.0] * 60)
    for one in ranks:
        evaluate(600)(one)
    return ranks


def after_one_saved(ranks: list[Trainer]) -> list[Trainer]:
    """Rank 0 saves for ten minutes, and then nobody goes on; its save is no excuse any more."""
    together(ranks, *[1.0] * 60)
    alone(ranks, lambda one: one.save(600))
    for one in ranks:
        one.progress = ranks[0].now
    return ranks


def with_slow_steps(ranks: list[Trainer]) -> list[Trainer]:
    """Steps of five minutes: three times is what counts."""
    together(ranks, *[200.0, 300.0, 250.0, 300.0] * 3)
    return ranks


def after_a_resume(ranks: list[Trainer]) -> list[Trainer]:
    """A second attempt, which is what the clock counts by."""
    together(ranks, *[1.0] * 60)
    later = crew(len(ranks), ranks[0].now + 60, attempt=1)
    together(later, 400, *[1.0] * 30)
    return later


def while_saves_go_on(ranks: list[Trainer]) -> list[Trainer]:
    """A save in the background never ends, and neither does a step."""
    together(ranks, *[1.0] * 60)
    for one in ranks:
        one.session.checkpoint(None, "c", "regular").__enter__()
        for _ in range(60):
            one.step(1.0)
    return ranks


SCENES = [
    in_train,
    in_data,
    after_an_evaluation,
    after_one_saved,
    with_slow_steps,
    after_a_resume,
    while_saves_go_on,
]
