"""Looking for files where others make and remove folders meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stream.folders import files_below
from stream.rulelang.load import load_packs
from tests.stream.rulelang.packs import GOOD


def test_all_files_but_hidden_ones(tmp_path: Path) -> None:
    for name in ("a.yaml", "deep/er/b.yaml", ".hidden.yaml", ".hidden/c.yaml", "deep/.git/d.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = {str(path.relative_to(tmp_path)) for path in files_below(tmp_path)}
    assert found == {"a.yaml", "deep/er/b.yaml"}


def test_folders_that_come_and_go(tmp_path: Path) -> None:
    """What stays is found each time, whatever vanishes beside it."""
    (tmp_path / "stays").touch()
    over = threading.Event()

    def churn() -> None:
        while not over.is_set():
            for number in range(20):
                (tmp_path / f"folder-{number}").mkdir()
            for number in range(20):
                (tmp_path / f"folder-{number}").rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(1000):
            assert list(files_below(tmp_path)) == [tmp_path / "stays"]
    finally:
        over.set()
        thread.join()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(files_below(tmp_path / "gone"))


def test_packs_of_a_config_map(tmp_path: Path) -> None:
    """Kubernetes mounts each file as a link into a hidden folder: each rule is there once."""
    (tmp_path / "..2026_01_01").mkdir()
    (tmp_path / "..2026_01_01/pack.yaml").write_text(GOOD)
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "pack.yaml").symlink_to("..data/pack.yaml")
    assert [rule.id for rule in load_packs([tmp_path]).rules] == ["too-large"]
