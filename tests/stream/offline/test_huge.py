"""A large log streams, plain or compressed: memory does not grow with it."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import zstandard

GB: Final = 1_000_000_000
MIB: Final = 1 << 20
SCALED: Final = GB // 50
GROWTH: Final = 32 * MIB
"""A log of any size may take so much more memory than one of 1 MB."""
MOST: Final = 400 * MIB
FORMS: Final = ("plain", "gzip", "zstd")
_MEASURE: Final = """
import sys
from pathlib import Path
from stream.cli import app
try:
    app(sys.argv[1:], standalone_mode=False)
finally:
    # Not ru_maxrss, which a child inherits from whoever started it.
    status = Path("/proc/self/status").read_text()
    print(status.split("VmHWM:")[1].split()[0], file=sys.stderr)
"""
_NOISE: Final = (
    "[2024-05-01 10:00:00,{ms:03d}] node-{node}:{pid} [{gpu}] NCCL INFO Channel {gpu:02d}/0 : P2P/CUMEM\n",
    "INFO 05-01 10:00:00 [loader.py:{gpu}] shard {pid} of 4096 in {ms} ms, {node} workers\n",
    "/usr/lib/python3/site-packages/torch/utils/checkpoint.py:{ms}: UserWarning: use_reentrant is not set\n",
    "[default{gpu}]: {ms}%|##### | {pid}/4096 [00:{node:02d}<00:{gpu:02d}, {ms}.{node} it/s]\n",
)


def _blocks() -> Iterator[bytes]:
    """Without an end: what launchers and loaders print, a step now and then. No two blocks are the same."""
    rng = random.Random(7)
    step = 0
    noise = [
        line.format(
            ms=rng.randrange(1000), node=rng.randrange(64), pid=rng.randrange(4096), gpu=rng.randrange(8)
        )
        for _ in range(500)
        for line in _NOISE
    ]
    while True:
        rng.shuffle(noise)
        loss = 2 + rng.random() / 10
        steps = f"[2024-05-01 10:00:01,000] iteration {step} | lm loss: {loss:.4f} | grad norm: 1.0 |\n"
        yield "".join([*noise, steps]).encode()
        step += 1


@contextmanager
def _opened(path: Path, form: str) -> Iterator[Callable[[bytes], object]]:
    """Writes the plain content of the file."""
    if form == "gzip":
        with gzip.open(path, "wb", compresslevel=1) as packed:
            yield packed.write
    elif form == "zstd":
        with path.open("wb") as raw, zstandard.ZstdCompressor(1).stream_writer(raw) as writer:
            yield writer.write
    else:
        with path.open("wb") as plain:
            yield plain.write


def _write(path: Path, form: str, size: int) -> int:
    """A log of at least this size with trouble in its last line; gives that line's number."""
    written, lines = 0, 1
    with _opened(path, form) as write:
        for block in _blocks():
            write(block)
            written, lines = written + len(block), lines + block.count(b"\n")
            if written >= size:
                break
        write(b"torch.cuda.OutOfMemoryError: CUDA out of memory.\n")
    return lines


def _diagnose(path: Path) -> tuple[float, int, list[str]]:
    """The shipped rules in a process of their own: seconds, largest resident size (bytes), what was found."""
    command = [sys.executable, "-c", _MEASURE, "diagnose", "--json", str(path)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=1700, check=False)
    return time.perf_counter() - start, int(done.stderr.split()[-1]) * 1024, done.stdout.splitlines()


def _is_bounded(folder: Path, form: str, size: int) -> None:
    small, large = folder / "small.log", folder / "large.log"
    _write(small, form, MIB)
    last = _write(large, form, size)

    _, before, _ = _diagnose(small)
    seconds, after, found = _diagnose(large)

    scale = f"1/{GB // size} of the nightly form" if size < GB else "the whole form"
    print(
        f"{form}, {scale}: {size / 1e6:.0f} MB of log in {seconds:.1f} s ({size / seconds / 1e6:.0f} MB/s), "
        f"{after / MIB:.0f} MiB resident ({(after - before) / MIB:+.1f} MiB against 1 MB of log)"
    )
    (line,) = [one for one in found if '"cuda-oom"' in one]
    assert f'"line": {last}' in line
    assert len(found) == 1
    assert after - before < GROWTH
    assert after < MOST


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_large_log_is_read_in_bounded_memory(tmp_path: Path, form: str) -> None:
    """It takes little more memory than a small one; its last line is found. Scaled: 20 MB."""
    _is_bounded(tmp_path, form, SCALED)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", FORMS)
def test_a_log_of_1_gb_is_read_in_bounded_memory(tmp_path: Path, form: str) -> None:
    """The same with 1 GB."""
    _is_bounded(tmp_path, form, GB)


@pytest.mark.slow
def test_a_line_without_an_end_is_cut(tmp_path: Path) -> None:
    """64 MB without a newline are no reason to hold them."""
    path = tmp_path / "endless.log"
    with path.open("w") as file:
        for _ in range(64):
            file.write("x" * MIB)
        file.write("\nCUDA out of memory\n")

    _, after, found = _diagnose(path)

    assert '"line": 2' in found[0]
    assert after < MOST
