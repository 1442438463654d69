"""What the process prints: caught without the trainer being able to tell."""

from __future__ import annotations

import io
import logging
import os
import pty
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from emitter.probes import console as module
from emitter.probes.console import Console
from tests.emitter.receiver import Receiver


class Heard:
    """A console on streams of the test's own, and what it sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, logs: bool = True) -> None:
        self.out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        self.err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        self.sent: list[tuple[str, str]] = []
        self.console = Console(self.emit, 1000, logs=logs, hooks=True)
        self._monkeypatch = monkeypatch

    def begin(self) -> None:
        """In the test itself: pytest puts streams of its own in place after the fixtures."""
        self._monkeypatch.setattr(sys, "stdout", self.out)
        self._monkeypatch.setattr(sys, "stderr", self.err)
        self.console.start()

    def emit(self, body: str, number: int, about: Mapping[str, Any]) -> None:
        self.sent.append((about.get("log.iostream", ""), body))

    def lines(self) -> list[tuple[str, str]]:
        self.console.last()
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    found = Heard(monkeypatch)
    yield found
    found.console.stop()


def written(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def test_both_streams(heard: Heard) -> None:
    """Prints come line by line with their stream, and go where they went before."""
    heard.begin()
    print("loss", 0.5)
    print("half a ", end="")
    print("warning", file=sys.stderr)
    print("line")
    sys.stdout.writelines(["a\n", "b\n"])

    assert heard.lines() == [
        ("stdout", "loss 0.5"), ("stderr", "warning"), ("stdout", "half a line"), ("stdout", "a"),
        ("stdout", "b"),
    ]  # fmt: skip
    assert written(heard.out) == "loss 0.5\nhalf a line\na\nb\n"
    assert written(heard.err) == "warning\n"


def test_the_streams_stay_what_they_are(heard: Heard) -> None:
    """The same objects, of the same type, with the same answers; afterwards as before."""
    heard.begin()
    assert sys.stdout is heard.out
    assert sys.stdout.write("x\n") == 2
    assert (sys.stdout.encoding, sys.stdout.isatty()) == ("utf-8", False)
    sys.stdout.reconfigure(line_buffering=True)
    heard.console.stop()

    assert "write" not in vars(heard.out)
    print("unheard")
    assert heard.lines() == [("stdout", "x")]


def test_an_error_of_the_stream_is_the_trainers(heard: Heard) -> None:
    """What the stream refuses is raised as before, and not sent."""
    heard.begin()
    with pytest.raises(TypeError, match="argument must be str"):
        sys.stdout.write(b"bytes")  # type: ignore[arg-type]
    heard.out.close()
    with pytest.raises(ValueError, match="closed file"):
        print("lost")

    assert heard.lines() == []


def test_records_of_logging_are_not_sent_twice(heard: Heard) -> None:
    """What a handler of ``logging`` prints was sent by itself; DEBUG was not, and comes with the console."""
    heard.begin()
    logger = logging.getLogger("test.console")
    handler = logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        logger.info("said by logging")
        logger.debug("in detail")
        logging.getLogger("emitter").warning("said by us")
        print("printed")
    finally:
        logger.removeHandler(handler)

    assert heard.lines() == [("stderr", "in detail"), ("stdout", "printed")]
    assert "said by logging\n" in written(heard.err)


def test_logging_is_heard_where_its_probe_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``logs=False`` the console is all there is."""
    heard = Heard(monkeypatch, logs=False)
    heard.begin()
    handler = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("test.console")
    logger.addHandler(handler)
    try:
        logger.error("said by logging")
    finally:
        logger.removeHandler(handler)
        heard.console.stop()

    assert heard.lines() == [("stderr", "said by logging")]


def test_lines_of_threads_are_not_mixed(heard: Heard) -> None:
    """print writes text and newline apart; what threads write in between does not get into a line."""
    heard.begin()
    barrier = threading.Barrier(2)

    def work(word: str) -> None:
        sys.stdout.write(word)
        barrier.wait(10)
        sys.stdout.write(f" of {word}\n")

    threads = [threading.Thread(target=work, args=(word,)) for word in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(heard.lines()) == [("stdout", "one of one"), ("stdout", "two of two")]


def test_somebody_wraps_us(heard: Heard) -> None:
    """Another tool may wrap the same stream after us (wandb does): we stay in its chain, and are silent."""
    heard.begin()
    ours, seen = sys.stdout.write, []

    def write(text: str) -> int:
        seen.append(text)
        return ours(text)

    sys.stdout.write = write  # type: ignore[method-assign]
    print("both")
    heard.console.stop()
    print("only theirs")

    assert heard.lines() == [("stdout", "both")]
    assert "".join(seen) == written(heard.out) == "both\nonly theirs\n"


def test_a_redirection_is_left_alone(heard: Heard) -> None:
    """Who catches the output himself keeps it to himself."""
    heard.begin()
    target = io.StringIO()
    with redirect_stdout(target):
        print("caught")
    print("printed")

    assert target.getvalue() == "caught\n"
    assert heard.lines() == [("stdout", "printed")]


def test_a_flood_is_bounded(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody takes away in time is counted; a huge write is cut."""
    heard.begin()
    monkeypatch.setattr(module, "MOST_PIECES", 4)
    for index in range(10):
        sys.stdout.write(f"{index}\n")
    lines = heard.lines()
    assert lines[:4] == [("stdout", str(index)) for index in range(4)]
    assert lines[4:] == [("", "6 lines of stdout were left out: more than 1000 a second")]
    sys.stdout.write("x" * 100_000 + "\n")
    assert sum(len(line) for _, line in heard.lines()) < 20_000


def test_tqdm_shows_its_last_state(heard: Heard) -> None:
    """A bar that is drawn again and again is one line."""
    heard.begin()
    for step in range(50):
        sys.stderr.write(f"\r{step:3d}/50 [{'#' * (step // 10)}]")
        heard.console.turn()
    sys.stderr.write("\r 50/50 [#####]\n")

    assert heard.lines() == [("stderr", " 50/50 [#####]")]


def test_no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without streams, or with streams of a fixed shape, is left alone."""

    class Fixed:
        __slots__ = ()

        def write(self, text: str) -> int:
            return len(text)

    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", Fixed())
    console = Console(lambda *_: None, 10, logs=True, hooks=True)
    console.start()
    console.stop()


TRAINER = """
import os, subprocess, sys, warnings
warnings.simplefilter("ignore")
import emitter

emitter.init(run="console", run_id="console", endpoint=sys.argv[1], console=True, resources=False)
print("tty", sys.stdout.isatty(), sys.stdout.fileno())
subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
if os.fork() == 0:
    print("in the fork", flush=True)
    os._exit(0)
os.wait()
sys.stdout.write("no newline at the end")
raise RuntimeError("boom")
"""


def test_a_real_trainer_on_a_terminal(receiver: Receiver) -> None:
    """On a pseudo terminal the trainer sees a terminal, its children and forks print as ever, and the
    traceback of what nobody caught comes once, with the crash.
    """
    parent, child = pty.openpty()
    command = [sys.executable, "-c", textwrap.dedent(TRAINER), receiver.url]
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    trainer = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=env, close_fds=True)
    os.close(child)
    shown = b""
    try:
        while chunk := _read(parent):
            shown += chunk
    finally:
        assert trainer.wait(60) == 1
        os.close(parent)
    text = shown.decode()
    bodies = [record.body.string_value for record in receiver.records("train.log")]

    assert all(line in text for line in ("tty True 1", "a child", "in the fork", "RuntimeError: boom"))
    assert sorted(body.splitlines()[0] for body in bodies) == [
        "Traceback (most recent call last):", "no newline at the end", "tty True 1",
    ]  # fmt: skip


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side was closed
        return b""
