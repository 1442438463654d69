"""What belongs together, and in which order: runs, ranks, attempts, times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from stream.offline.attempts import Attempts
from stream.offline.errors import OfflineError
from stream.offline.finding import find
from stream.offline.naming import named
from stream.offline.points import Point
from stream.offline.replay import Replay
from stream.offline.streams import Ordered
from stream.rulelang import load_text
from tests.stream.offline.reading import fired

ACROSS = """
pack: own
rules:
  - id: apart
    category: straggler
    summary: "rank {rank}"
    on: train.step
    when: grad_norm > 2 * peers.max(grad_norm)
"""


def _write(path: Path, *records: Mapping[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def _ordered(*paths: Path, run: str | None = None) -> list[tuple[int | None, int | None, int | None]]:
    problems: list[OfflineError] = []
    found = [
        (one.attempt, one.rank, one.step)
        for group in find(paths, run, problems)
        for one in Ordered(group, problems.append)
    ]
    assert problems == []
    return found


@pytest.mark.parametrize(
    ("path", "run", "rank", "attempt"),
    [
        ("a/train.jsonl", "train", None, None),
        ("a/train.log.gz", "train", None, None),
        ("a/train-rank3.log", "train-rank3", 3, None),
        ("a/rank_12.jsonl", "rank_12", 12, None),
        ("a/Rank-0.csv", "Rank-0", 0, None),
        ("a/frank.log", "frank", None, None),
        ("a/my-run/checkpoint-500/trainer_state.json", "my-run", None, None),
        ("a/my-run/trainer_state.json", "my-run", None, None),
        ("a/tb/events.out.tfevents.1700000000.host.1.0", "tb", None, None),
        ("logs/none_x1/attempt_2/3/stderr.log", "none_x1", 3, 2),
        ("-", "stdin", None, None),
    ],
)
def test_a_name_says_run_rank_and_attempt(path: str, run: str, rank: int | None, attempt: int | None) -> None:
    """The file's stem is the run, but for the layouts of trainers and launchers."""
    found = named(Path(path))

    assert (found.run, found.rank, found.attempt) == (run, rank, attempt)


def test_ranks_of_one_folder_are_one_run(tmp_path: Path) -> None:
    """Files whose names differ in the rank alone are merged by step; a folder may name the rank too."""
    for rank in (0, 1):
        _write(tmp_path / f"train-rank{rank}.jsonl", *({"step": step, "loss": 1.0} for step in (1, 2)))
        _write(tmp_path / f"deep/rank_{rank}/out.jsonl", {"step": 7, "loss": 1.0})

    groups = find([tmp_path], None, [])

    assert [(group.run, len(group.files)) for group in groups] == [("out", 2), ("train", 2)]
    assert _ordered(tmp_path) == [(0, 0, 7), (0, 1, 7), (0, 0, 1), (0, 1, 1), (0, 0, 2), (0, 1, 2)]


def test_ranks_with_times_are_merged_by_time(tmp_path: Path) -> None:
    """Where all files have times, those decide."""
    _write(tmp_path / "r-rank0.jsonl", *({"step": i, "loss": 1, "time": 1.7e9 + 10 * i} for i in range(3)))
    _write(tmp_path / "r-rank1.jsonl", *({"step": i, "loss": 1, "time": 1.7e9 + 5 * i} for i in range(3)))

    assert _ordered(tmp_path) == [(0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (0, 1, 2), (0, 0, 2)]


def test_a_rank_column_wins_over_the_name(tmp_path: Path) -> None:
    """Several ranks may be in one file."""
    path = _write(tmp_path / "rank5.jsonl", {"step": 1, "loss": "NaN", "rank": 2}, {"step": 2, "loss": "NaN"})

    assert fired(path) == [("not-finite", "rank5", 0, 2, 1), ("not-finite", "rank5", 0, 5, 2)]


def test_a_step_that_goes_back_starts_a_new_attempt(tmp_path: Path) -> None:
    """Of every rank for itself; ranks are still merged attempt by attempt."""
    steps = (1, 2, 3, 2, 3)
    for rank in (0, 1):
        _write(tmp_path / f"rank{rank}.jsonl", *({"step": step, "loss": 1.0} for step in steps))

    found = _ordered(tmp_path)

    assert found == [(0, r, s) for s in (1, 2, 3) for r in (0, 1)] + [
        (1, r, s) for s in (2, 3) for r in (0, 1)
    ]


def test_nothing_of_an_attempt_fires_in_the_next(tmp_path: Path) -> None:
    """One bad sample before the restart and one after are not two in a row."""
    norms = [*((step, 1.0) for step in range(10)), (10, 50.0), (5, 50.0), *((6 + i, 1.0) for i in range(10))]
    path = _write(tmp_path / "a.jsonl", *({"step": step, "grad_norm": norm} for step, norm in norms))

    assert fired(path) == []


def test_the_last_steps_before_a_restart_are_still_compared_across_ranks(tmp_path: Path) -> None:
    """What waited for the other ranks is judged before the new attempt begins."""
    rules = load_text(ACROSS, tmp_path / "across.yaml")
    for rank, last in ((0, 1.0), (1, 1.0), (2, 9.0)):
        steps = [(step, 1.0) for step in range(10)] + [(10, last)] + [(step, 1.0) for step in range(5)]
        records = ({"step": step, "grad_norm": norm} for step, norm in steps)
        _write(tmp_path / f"run-rank{rank}.jsonl", *records)
    problems: list[OfflineError] = []
    (group,) = find([tmp_path], None, problems)

    made = [one.diagnosis for one in Replay(group, rules) if one.diagnosis.state == "firing"]

    assert [(one.attempt, one.rank, one.step) for one in made] == [(0, 2, 10)]


def test_steps_counted_afresh_in_each_epoch_are_no_restart() -> None:
    """The epoch goes on, so the step going back is no new attempt; the same epoch again is."""
    attempts = Attempts()

    points = [("train.step", step, epoch) for epoch, step in [(0, 1), (0, 2), (1, 1), (1, 2), (1, 1)]]

    assert [attempts.of(Point(name, {}, step, epoch)) for name, step, epoch in points] == [0, 0, 0, 0, 1]


def test_counters_of_a_text_log_go_back_each_for_itself() -> None:
    """`iter 100` and `step=25` of the same log are two counters; a restart resets both at once."""
    attempts = Attempts()

    seen = [
        attempts.of(Point("train.step", {}, step, clock=clock))
        for clock, step in [
            ("iter", 100),
            ("step", 25),
            ("iter", 104),
            ("step", 26),
            ("iter", 60),
            ("step", 15),
        ]
    ]

    assert seen == [0, 0, 0, 0, 1, 1]


def test_evals_and_log_lines_belong_to_the_newest_attempt() -> None:
    """They start none, whatever step they carry."""
    attempts = Attempts()
    points = [("train.step", 5), ("train.eval", 1), ("train.step", 2), ("train.log", None), ("train.eval", 9)]

    assert [attempts.of(Point(name, {}, step)) for name, step in points] == [0, 0, 1, 1, 1]


def test_a_column_says_the_attempt(tmp_path: Path) -> None:
    """An explicit attempt is believed."""
    path = _write(tmp_path / "a.jsonl", *({"step": 1, "loss": 1.0, "attempt": one} for one in (0, 3)))

    assert _ordered(path) == [(0, 0, 1), (3, 0, 1)]


def test_of_a_trainers_checkpoints_the_last_state_is_read(tmp_path: Path) -> None:
    """Each trainer_state.json holds the history of those before it."""
    for number in (100, 200, 1000):
        folder = tmp_path / "out" / f"checkpoint-{number}"
        folder.mkdir(parents=True)
        history = [{"step": step, "loss": 1.0} for step in range(0, number, 100)]
        (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))
        (folder / "config.json").write_text('{"model_type": "gpt2"}')
        (folder / "model.safetensors").write_bytes(b"\0" * 100)

    groups = find([tmp_path], None, [])

    assert [(group.run, group.files[0].path.parent.name) for group in groups] == [("out", "checkpoint-1000")]


def test_a_run_given_by_name_joins_all_files(tmp_path: Path) -> None:
    """--run says that everything is one run."""
    first = _write(tmp_path / "a.jsonl", {"step": 1, "loss": 1.0})
    second = _write(tmp_path / "b.jsonl", {"step": 2, "loss": "NaN"})

    assert fired(first, second, run="mine") == [("not-finite", "mine", 0, 0, 2)]


def test_files_of_the_same_name_in_two_folders_are_two_runs(tmp_path: Path) -> None:
    """They are judged apart."""
    for folder in ("a", "b"):
        _write(tmp_path / folder / "metrics.jsonl", {"step": 1, "loss": "NaN"})

    assert fired(tmp_path) == [("not-finite", "metrics", 0, 0, 1)] * 2


def test_a_column_of_durations_called_time_is_no_clock(tmp_path: Path) -> None:
    """It goes up and down."""
    durations = [0.5, 0.4, 0.6, 0.5, 0.3, 0.5]
    path = _write(
        tmp_path / "a.jsonl", *({"step": i, "loss": 1, "time": one} for i, one in enumerate(durations))
    )
    (group,) = find([path], None, [])

    assert not Ordered(group, print).timed
