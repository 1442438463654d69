"""Text logs: lines as trainers print them, and the steps in them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from stream.offline.points import Point
from stream.offline.textnumbers import LineNumbers
from tests.stream.offline.reading import points_of

MEGATRON = (
    " [2024-05-01 10:00:00] iteration      {i}/    1000 | consumed samples: 12800 | "
    "elapsed time per iteration (ms): 500.0 | learning rate: 1.0E-04 | global batch size: 128 | "
    "lm loss: {loss} | loss scale: 1.0 | grad norm: 1.250 | number of skipped iterations:   0 | "
    "number of nan iterations:   0 |"
)

CASES: list[tuple[str, str, int | None, dict[str, Any]]] = [
    (
        MEGATRON.format(i=100, loss="2.5E+00"), "train.step", 100,
        {"loss": 2.5, "grad_norm": 1.25, "learning_rate": 1e-4, "step_time": 0.5, "loss_scale": 1.0},
    ),
    (
        " validation loss at iteration 1000 | lm loss value: 2.25E+00 | lm loss PPL: 9.5E+00 |",
        "train.eval", 1000, {"eval_loss": 2.25},
    ),
    (
        "[2023-05-01 10:00:00,100] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=0, "
        "lr=[1e-05, 2e-05], mom=[(0.9, 0.95)]", "train.step", 10, {"learning_rate": 1e-5, "skipped": 0.0},
    ),
    ("iter 10: loss 2.5, time 20.00ms, mfu 30.2%", "train.step", 10, {"loss": 2.5, "step_time": 0.02}),
    ("iter 3320: loss nan, time 20.00ms", "train.step", 3320, {"loss": math.nan}),
    (
        "{'loss': 2.5, 'grad_norm': 1.25, 'learning_rate': 1e-05, 'epoch': 0.5}",
        "train.step", None, {"loss": 2.5, "grad_norm": 1.25, "learning_rate": 1e-5},
    ),
    ("{'loss': '2.5', 'grad_norm': 'nan', 'epoch': '0.5'}", "train.step", None, {"grad_norm": math.nan}),
    ("{'eval_loss': 2.5, 'eval_runtime': 3.0, 'epoch': 0.5}", "train.eval", None, {"eval_loss": 2.5}),
    (
        '2024-05-01 10:00:00 | INFO | train_inner | {"epoch": 1, "loss": "2.5", "gnorm": "1.25", '
        '"num_updates": "100", "lr": "0.0001"}', "train.step", 100, {"loss": 2.5, "grad_norm": 1.25},
    ),
    (
        '2024-05-01 10:00:00 | INFO | valid | {"epoch": 1, "valid_loss": "8.5", "valid_num_updates": "600"}',
        "train.eval", 600, {"eval_loss": 8.5},
    ),
    (
        "[titan] 2024-05-01 10:00:00,000 - root - INFO - step: 10  loss:  2.5000  grad_norm: 1.2500  "
        "memory: 20.11GiB(21.2%)  tps: 1,234  mfu: 40.1%", "train.step", 10, {"loss": 2.5, "grad_norm": 1.25},
    ),
    ("time=2024-05-01T10:00:00Z level=info step=7 loss=2.5 lr=0.1", "train.step", 7, {"loss": 2.5}),
    ("Step: 1,  Loss: 2.5", "train.step", 1, {"loss": 2.5}),
    ("Epoch [2/10], Step [100/600], Loss: 2.5", "train.step", 700, {"loss": 2.5}),
    (
        "Epoch 3:  50%|#####     | 50/100 [00:10<00:05, 9.5it/s, v_num=0, train_loss=2.5]",
        "train.step", 350, {"loss": 2.5},
    ),
]  # fmt: skip


def _same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    return {key: repr(float(found[key])) for key in expected if key in found} == {
        key: repr(float(value)) for key, value in expected.items()
    }


@pytest.mark.parametrize(("line", "name", "step", "values"), CASES, ids=[case[0][:40] for case in CASES])
def test_a_line_gives_its_step(line: str, name: str, step: int | None, values: dict[str, Any]) -> None:
    """The event, the step and the numbers under their canonical names."""
    (point,) = LineNumbers().points(line, 1)

    assert (point.name, point.step) == (name, step)
    assert _same(point.values, values), point.values


@pytest.mark.parametrize(("line", "name", "step", "values"), CASES, ids=[case[0][:40] for case in CASES])
def test_the_second_line_of_a_form_reads_like_the_first(
    line: str, name: str, step: int | None, values: dict[str, Any]
) -> None:
    """What was learnt of a form at its first line gives the same at the next."""
    reader = LineNumbers()

    first, second = reader.points(line, 1), reader.points(line, 1)

    assert repr(first) == repr(second)


def test_numbers_of_another_width_are_of_the_same_form() -> None:
    """Padding, digits and NaN change from line to line; the layout is found once."""
    reader = LineNumbers()

    losses = [
        reader.points(MEGATRON.format(i=step, loss=loss), 1)[0].values["loss"]
        for step, loss in [(1, "2.5E+00"), (10, "nan"), (1000, "-1.0E-01"), (10000, "inf")]
    ]

    assert [str(loss) for loss in losses] == ["2.5", "nan", "-0.1", "inf"]
    assert len(reader._layouts) == 1


def test_a_line_may_tell_of_training_and_evaluation() -> None:
    """nanoGPT's estimate is a step and an eval."""
    step, evaluation = LineNumbers().points("step 250: train loss 2.1, val loss 2.2", 1)

    assert (step.name, step.step, step.values) == ("train.step", 250, {"loss": 2.1})
    assert (evaluation.name, evaluation.step, evaluation.values) == ("train.eval", 250, {"eval_loss": 2.2})


def test_the_progress_bar_says_which_step_a_dictionary_belongs_to() -> None:
    """Hugging Face prints no step beside its numbers; its bar before them does."""
    reader = LineNumbers()

    assert reader.points("\r 10%|#         | 100/1000 [00:30<04:30, 3.3it/s]", 1) == []
    (point,) = reader.points("{'loss': 2.5, 'epoch': 0.1}\r 11%|#  | 101/1000 [00:31<04:29, 3.3it/s]", 1)
    (second,) = reader.points("{'loss': 2.5, 'epoch': 0.1}", 1)

    assert (point.step, second.step) == (100, 101)


@pytest.mark.parametrize(
    "line",
    [
        "Loading checkpoint at step 500 took 3.2 s",
        "saved checkpoint step=500 size=3",
        "num_epochs: 3, batch size: 8, learning rate: 0.1",
        "step by step guide to loss functions",
        "loss function: cross entropy",
        "{'model': 'gpt', 'layers': 12}",
        "epoch 3 done",
        "Traceback (most recent call last):",
        '{"step": 1, "loss": 2.0',
    ],
)
def test_other_lines_with_numbers_are_no_steps(line: str) -> None:
    """A step needs a counter and a metric that means something."""
    assert LineNumbers().points(line, 1) == []


def _log(tmp_path: Path, text: str) -> list[Point]:
    path = tmp_path / "train.log"
    path.write_text(text)
    return points_of(path)


def test_launchers_prefixes_name_the_rank(tmp_path: Path) -> None:
    """torchrun's [rank3]: and [default0]:, and a [Rank 2] in the line; colours are ignored."""
    points = _log(
        tmp_path,
        "[rank3]:step: 1 loss: 2.0\n[default0]:\x1b[31mstep: 1\x1b[0m loss: 2.0\n1: step: 1 loss: 2.0\n"
        "[2024-05-01 10:00:00] [Rank 2] step=1, lr=[0.1]\nplain step: 1 loss: 2.0\n",
    )

    assert [one.rank for one in points if one.name == "train.step"] == [3, 0, None, 2, None]
    assert [one.body for one in points if one.name == "train.log"][:2] == ["step: 1 loss: 2.0"] * 2


def test_lines_labelled_by_srun_name_the_rank(tmp_path: Path) -> None:
    """Where most lines begin with the number of a task, that is the rank."""
    points = _log(tmp_path, "0: step: 1 loss: 2.0\n1: step: 1 loss: 2.0\nslurmstepd: error\n1: bye\n")

    assert [one.rank for one in points if one.name == "train.log"] == [0, 1, None, 1]
    assert points[-1].body == "bye"


def test_every_line_is_a_log_line_too(tmp_path: Path) -> None:
    """A line with numbers goes through the log rules as well, with its number and its step."""
    points = _log(tmp_path, "hello\nstep: 1 loss: 2.0\n\nbye\n")

    assert [(one.name, one.line, one.step) for one in points] == [
        ("train.log", 1, None), ("train.log", 2, 1), ("train.step", 2, 1), ("train.log", 4, None),
    ]  # fmt: skip
