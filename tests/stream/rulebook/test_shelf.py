"""The watched rule files of a worker."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from stream.rulebook.bundle import Bundle
from stream.rulebook.shelf import READ_EVERY, Shelf
from stream.rulelang import RuleErrors

PACK = """
pack: own
rules:
  - id: high-loss
    category: divergence
    summary: "Loss {{loss:g}}"
    on: train.step
    when: loss > {limit}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A pack with the limit 10."""
    path = tmp_path / "own.yaml"
    path.write_text(PACK.format(limit=10))
    return path


def change(path: Path, text: str) -> None:
    """Write, and make the change visible even to a clock of whole seconds."""
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 2_000_000_000, before + 2_000_000_000))


def test_a_change_counts_when_it_holds_still(file: Path) -> None:
    """The first look sees the change, the second takes it, the third has nothing new."""
    shelf = Shelf([file.parent])
    assert shelf.look() is None
    change(file, PACK.format(limit=20))
    assert shelf.look() is None
    taken = shelf.look()
    assert taken is not None
    assert taken.digest == shelf.bundle.digest
    assert "loss > 20" in taken.texts["own.yaml"]
    assert shelf.look() is None


def test_a_broken_change_is_refused_and_the_old_stays(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All mistakes are said once; what was in force stays; mending it is taken."""
    shelf = Shelf([file.parent])
    before = shelf.bundle
    change(file, PACK.format(limit="los"))
    with caplog.at_level(logging.ERROR):
        assert [shelf.look() for _ in range(4)] == [None] * 4
    assert shelf.bundle is before
    assert "own.yaml:8:" in str(shelf.refused)
    assert caplog.text.count("refused") == 1
    change(file, PACK.format(limit=30))
    shelf.look()
    assert shelf.look() is not None
    assert shelf.refused is None


def test_a_touch_or_a_way_back_is_no_change(file: Path) -> None:
    """The content decides."""
    shelf = Shelf([file.parent])
    change(file, PACK.format(limit=10))
    assert [shelf.look() for _ in range(3)] == [None] * 3


def test_files_come_and_go(file: Path) -> None:
    """A new pack and a deleted one are changes."""
    shelf = Shelf([file.parent])
    other = file.parent / "more" / "other.yaml"
    other.parent.mkdir()
    other.write_text(PACK.format(limit=5).replace("high-loss", "higher-loss"))
    shelf.look()
    taken = shelf.look()
    assert taken is not None
    assert {rule.id for rule in shelf.rules.rules} == {"high-loss", "higher-loss"}
    other.unlink()
    shelf.look()
    assert shelf.look() is not None
    assert {rule.id for rule in shelf.rules.rules} == {"high-loss"}


def test_deleting_everything_is_refused(file: Path) -> None:
    """A folder that vanished does not switch all rules off."""
    shelf = Shelf([file.parent])
    file.unlink()
    assert [shelf.look() for _ in range(3)] == [None] * 3
    assert shelf.refused is not None
    assert [rule.id for rule in shelf.rules.rules] == ["high-loss"]


def test_a_worker_begins_with_the_rules_in_force(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not with its own, unless there are none or they are of a version that this one does not know."""
    shelf = Shelf([file.parent])
    others = Bundle({"a.yaml": PACK.format(limit=7).replace("high-loss", "other")})
    newer = Bundle({"a.yaml": PACK.format(limit=7).replace("when:", "whenever:")})
    assert [rule.id for rule in shelf.first(others)[0].rules] == ["other"]
    assert shelf.first(None) == (shelf.rules, shelf.bundle)
    assert shelf.first(newer) == (shelf.rules, shelf.bundle)
    assert "beginning with our own" in caplog.text
    assert "whenever" in caplog.text


def test_broken_from_the_start_is_an_error(file: Path) -> None:
    """A worker does not start with rules that do not load."""
    file.write_text("pack: own\nrules: 3\n")
    with pytest.raises(RuleErrors, match="expected `rules` to be a list"):
        Shelf([file.parent])


def test_a_change_that_no_clock_shows_is_found_in_the_end(file: Path) -> None:
    """Same size, same time, same inode: files are read anew now and then all the same."""
    shelf = Shelf([file.parent])
    before = file.stat().st_mtime_ns
    file.write_text(PACK.format(limit=12))
    os.utime(file, ns=(before, before))
    taken = [found for found in (shelf.look() for _ in range(READ_EVERY + 1)) if found is not None]
    assert ["loss > 12" in one.texts["own.yaml"] for one in taken] == [True]


def test_files_that_nobody_touched_are_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking once a second costs next to nothing."""
    shelf = Shelf([file.parent])
    monkeypatch.setattr(Path, "read_bytes", None)
    assert [shelf.look() for _ in range(READ_EVERY - 1)] == [None] * (READ_EVERY - 1)


def test_a_page_beside_a_single_file_is_watched(file: Path) -> None:
    """A pack may be given by its file; the pages in its folder belong to it."""
    file.write_text(PACK.format(limit=10) + "    runbook: own.md\n")
    page = file.parent / "runbooks" / "own.md"
    page.parent.mkdir()
    page.write_text("# Own\n")
    shelf = Shelf([file])
    change(page, "# Changed\n")
    found = [shelf.look(), shelf.look()]
    assert found[1] is not None
    assert "# Changed\n" in found[1].texts.values()
