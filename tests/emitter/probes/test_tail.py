"""Files that grow, are rotated, truncated, cut, or full of bytes that are no text."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emitter.probes import follow
from emitter.probes.follow import FAR_BEHIND, IDLE_S, MOST_BYTES, Followed, Places
from emitter.probes.tail import LOOK_EVERY_S, Tail


class Time:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "train.log"
    path.write_text("from before\n")
    return path


@pytest.fixture
def file(log: Path, clock: Time) -> Followed:
    return Followed(str(log), Places(), clock, from_end=True)


def add(path: Path, text: str | bytes) -> None:
    with path.open("ab") as out:
        out.write(text.encode() if isinstance(text, str) else text)


def test_only_what_is_added(log: Path, file: Followed) -> None:
    """What was there before is not sent; then each line once, however it was written."""
    assert file.read() == []
    add(log, "one\ntwo\nth")
    assert file.read() == ["one", "two"]
    add(log, "ree\n")
    assert (file.read(), file.read()) == (["three"], [])


def test_a_line_without_end_is_sent_in_the_end(log: Path, file: Followed, clock: Time) -> None:
    """A beginning waits; it is sent when nothing more comes for a while, or at the close."""
    add(log, "Killed")
    assert file.read() == []
    clock.now += IDLE_S
    assert file.read() == ["Killed"]
    add(log, "more")
    assert (file.read(), file.close()) == ([], ["more"])


def test_rotation_by_renaming(log: Path, file: Followed, tmp_path: Path) -> None:
    """The rest of the old file is read, then the new one from its beginning."""
    add(log, "one\n")
    assert file.read() == ["one"]
    add(log, "two\nthree")
    log.rename(tmp_path / "train.log.1")
    log.write_text("four\n")

    assert file.read() == ["two", "three", "four"]


def test_a_writer_that_goes_on_after_the_renaming(log: Path, file: Followed, clock: Time) -> None:
    """Until there is a new file, the old one is read; when it is quiet for long, it is let go."""
    old = log.rename(log.with_suffix(".old"))
    add(old, "late\n")
    assert file.read() == ["late"]
    assert file._fd >= 0
    clock.now += IDLE_S
    assert file.read() == []
    assert file._fd == -1
    log.write_text("new\n")
    assert file.read() == ["new"]


def test_rotation_by_copying_and_truncating(log: Path, file: Followed) -> None:
    """A file that became shorter is read from its beginning."""
    add(log, "a long line of a step\n")
    assert file.read() == ["a long line of a step"]
    log.write_text("")
    assert file.read() == []
    add(log, "new\n")
    assert file.read() == ["new"]


def test_truncated_and_grown_beyond_where_we_were(log: Path, file: Followed) -> None:
    """The bytes before our place tell that it is another content, though the file is longer."""
    log.write_text("entirely other content, and longer\nthan before\n")

    assert file.read() == ["entirely other content, and longer", "than before"]


def test_a_renamed_file_is_no_new_one(tmp_path: Path, clock: Time) -> None:
    """A pattern also fits what rotation made: its lines come once."""
    sent: list[str] = []
    tail = Tail((str(tmp_path / "*.log*"),), lambda body, *_: sent.append(body), 100, clock)
    log = tmp_path / "a.log"
    log.write_text("before\n")
    tail.turn()
    add(log, "one\n")
    tail.turn()
    log.rename(tmp_path / "a.log.1")
    log.write_text("two\n")
    clock.now += LOOK_EVERY_S
    tail.turn()
    tail.turn()
    add(tmp_path / "a.log.1", "late\n")
    tail.turn()
    tail.close()

    assert sent == ["one", "two", "late"]


def test_bytes_that_are_no_text(log: Path, file: Followed) -> None:
    """Bad UTF-8 becomes replacement characters; a character split between two reads does not."""
    add(log, b"\xff\xfe ok\n\xe2\x82")
    assert file.read() == ["\ufffd\ufffd ok"]
    add(log, b"\xac\n")
    assert file.read() == ["\u20ac"]


def test_a_file_that_comes_later(tmp_path: Path, clock: Time) -> None:
    """A name that does not exist yet is looked for, and then read whole."""
    told: list[str] = []
    file = Followed(str(tmp_path / "later.log"), Places(), clock, told.append)
    assert (file.read(), file.read()) == ([], [])
    assert told == [f"[Errno 2] No such file or directory: '{tmp_path / 'later.log'}'"]
    (tmp_path / "later.log").write_text("first\n")

    assert file.read() == ["first"]


def test_what_is_no_file(tmp_path: Path, clock: Time) -> None:
    """A pipe would hang or eat what others should read: it is refused, once."""
    os.mkfifo(tmp_path / "pipe")
    told: list[str] = []
    file = Followed(str(tmp_path / "pipe"), Places(), clock, told.append)

    assert (file.read(), file.read()) == ([], [])
    assert told == [f"{tmp_path / 'pipe'}: not a regular file"]


def test_far_behind(log: Path, file: Followed) -> None:
    """What is too much to read is left out but for its end; the lines are counted."""
    line = b"x" * 999 + b"\n"
    count = FAR_BEHIND // 1000 + 100
    add(log, line * count)
    lines: list[str] = []
    while found := file.read():
        lines += found

    assert len(lines) + file.take_skipped() == count
    assert MOST_BYTES // 1000 - 1 <= len(lines) <= MOST_BYTES // 1000
    assert set(lines) == {"x" * 999}


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.text(alphabet="abc\n", max_size=8)),
        st.tuples(st.sampled_from(["read", "rename", "truncate"]), st.just("")),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS)
def test_every_line_once(tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, str]]) -> None:
    """What is written between reads and rotations comes once and in order."""
    folder = tmp_path_factory.mktemp("tail")
    log, clock, number = folder / "log", Time(), 0
    log.touch()
    file = Followed(str(log), Places(), clock, from_end=True)
    found: list[str] = []
    written = ""
    for action, text in actions:
        if action == "write":
            # Numbered, so that content after a truncation differs from that before.
            number += 1
            piece = text.replace("a", f"<{number}>")
            add(log, piece)
            written += piece
            continue
        found += file.read()
        if action == "rename":
            written += "\n"
            log.rename(folder / f"log.{number}")
            log.touch()
        elif action == "truncate":
            written += "\n"
            os.truncate(log, 0)
            found += file.read()
    found += file.read() + file.close()

    assert found == [line for line in written.split("\n") if line]


def test_patterns_and_ends(tmp_path: Path, clock: Time) -> None:
    """Files that exist are followed from their end, later ones from their beginning, under their own path."""
    (tmp_path / "a.log").write_text("old\n")
    sent: list[tuple[str, Any]] = []

    def emit(body: str, number: int, about: Mapping[str, Any]) -> None:
        sent.append((body, about["log.file.path"]))

    tail = Tail((str(tmp_path / "*.log"),), emit, 100, clock)
    tail.turn()
    add(tmp_path / "a.log", "new\n")
    (tmp_path / "b.log").write_text("whole\n")
    tail.turn()
    clock.now += LOOK_EVERY_S
    tail.turn()

    assert sent == [("new", str(tmp_path / "a.log")), ("whole", str(tmp_path / "b.log"))]


WRITER = """
import sys, time
from pathlib import Path
path = Path(sys.argv[1])
for index in range(60):
    if index % 20 == 19:
        # A reader that misses a whole file cannot know of it: the one before must have been seen.
        while not Path(f"{path}.seen{index - 19}").exists():
            time.sleep(0.001)
        path.rename(f"{path}.{index}")
    with path.open("a") as out:
        out.write(f"line {index}\\n")
    time.sleep(0.002)
"""


def test_a_real_writer_that_rotates(tmp_path: Path) -> None:
    """Another process writes and rotates while we read: every line once."""
    sent: list[str] = []
    tail = Tail((str(tmp_path / "run.log"),), lambda body, *_: sent.append(body), 1000)
    tail.turn()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "run.log")])
    try:
        while writer.poll() is None:
            tail.turn()
            for index in (0, 20, 40):
                if f"line {index}" in sent:
                    (tmp_path / f"run.log.seen{index}").touch()
    finally:
        writer.wait(30)
    tail.close()

    assert sent == [f"line {index}" for index in range(60)]


def test_no_descriptor_is_left(log: Path, file: Followed, count_descriptors: Callable[[], int]) -> None:
    """Files that were rotated away are closed."""
    before = count_descriptors()
    for index in range(10):
        log.rename(log.with_suffix(f".{index}"))
        log.write_text("x\n")
        file.read()
    assert count_descriptors() == before
    file.close()
    assert count_descriptors() == before - 1


@pytest.fixture
def count_descriptors(tmp_path: Path) -> Callable[[], int]:
    """Of files in this test's folder: what other tests left may be closed at any time."""

    def count() -> int:
        found = 0
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # what was open to list them is gone
                found += str(tmp_path) in str(link.readlink())
        return found

    return count


def test_places_are_bounded() -> None:
    """Only so many files are remembered, the latest."""
    places = Places()
    for index in range(follow._PLACES + 5):
        places.put((1, index), (index, b""))

    assert (places.get((1, 4)), places.get((1, 5))) == (None, (5, b""))
