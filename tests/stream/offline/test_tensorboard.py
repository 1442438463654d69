"""TensorBoard event files, as the writers of torch and tensorboardX make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tensorboardX import SummaryWriter

from stream.offline.errors import ReadError
from tests.stream.offline.reading import fired, points_of


def _written(folder: Path, *scalars: tuple[str, float, int]) -> Path:
    writer: Any = SummaryWriter(str(folder))
    for tag, value, step in scalars:
        writer.add_scalar(tag, value, step, walltime=1.7e9 + step)
    writer.add_text("note", "hello", 0)
    writer.add_histogram("weights", [1.0, 2.0, 3.0], 0)
    writer.close()
    (path,) = folder.glob("events.out.tfevents.*")
    return path


def test_scalars_of_a_step_are_put_together(tmp_path: Path) -> None:
    """Tags become canonical names; tags of an evaluation its numbers; texts and histograms are passed by."""
    path = _written(
        tmp_path / "run",
        ("train/loss", 2.5, 1), ("train/grad_norm", 1.0, 1), ("eval/loss", 3.0, 1),
        ("train/loss", float("nan"), 2), ("train/grad_norm", 0.0, 2),
    )  # fmt: skip

    points = [(one.name, one.step, one.time, repr(one.values)) for one in points_of(path)]

    assert points == [
        ("train.step", 1, 1_700_000_001 * 10**9, "{'loss': 2.5, 'grad_norm': 1.0}"),
        ("train.eval", 1, 1_700_000_001 * 10**9, "{'eval_loss': 3.0}"),
        ("train.step", 2, 1_700_000_002 * 10**9, "{'loss': nan, 'grad_norm': 0.0}"),
    ]


def test_the_run_is_the_folder_and_restarts_are_attempts(tmp_path: Path) -> None:
    """TensorBoard calls the folder the run; a second file that begins earlier is a restart."""
    folder = tmp_path / "my-run"
    first = _written(folder, *(("loss", 2.0, step) for step in range(5)))
    first.rename(folder / "events.out.tfevents.1700000000.host.1.0")
    writer: Any = SummaryWriter(str(folder))
    for step in (3, 4):
        writer.add_scalar("loss", float("nan"), step, walltime=1.8e9 + step)
    writer.close()

    assert fired(folder) == [("not-finite", "my-run", 1, 0, 3)]


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_file_cut_short_gives_what_is_whole(tmp_path: Path, kept: float) -> None:
    """The scalars before the cut are read, then one error says where."""
    path = _written(tmp_path / "run", *(("loss", 2.0, step) for step in range(100)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])

    with pytest.raises(ReadError, match=r"after \d+ records: the event file ends in the middle"):
        points_of(path)


def test_a_damaged_length_is_noticed(tmp_path: Path) -> None:
    """The checksum of the length says so before a wrong length is believed."""
    path = _written(tmp_path / "run", *(("loss", 2.0, step) for step in range(10)))
    data = bytearray(path.read_bytes())
    second = 12 + int.from_bytes(data[:8], "little") + 4
    data[second] ^= 0xFF
    path.write_bytes(data)

    with pytest.raises(ReadError, match="after 1 records: the event file is broken"):
        points_of(path)
