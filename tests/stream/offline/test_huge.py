"""A large log streams: memory does not grow with it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.stream.offline.packs import write_pack

MIB = 1 << 20
_MEASURE = """
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


def _write(path: Path, size: int) -> None:
    """Mostly what a launcher prints, a step now and then, one line of trouble at the end."""
    line = "[2024-05-01 10:00:00,{0:03d}] node-{0}:1234 [{0}] NCCL INFO Channel {0:02d}/0 : via P2P/CUMEM\n"
    noise = "".join(line.format(part) for part in range(200))
    with path.open("w") as file:
        step = 0
        while file.tell() < size:
            file.write(noise)
            file.write(
                f"[2024-05-01 10:00:01,000] iteration {step} | lm loss: 2.{step % 10} | grad norm: 1.0 |\n"
            )
            step += 1
        file.write("CUDA out of memory\n")


def _diagnose(folder: Path, path: Path) -> tuple[float, int, str]:
    """Seconds, the largest resident size in bytes, what was printed."""
    command = [
        sys.executable, "-c", _MEASURE, "diagnose", "--rules", str(write_pack(folder)), "--json", str(path),
    ]  # fmt: skip
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    return time.perf_counter() - start, int(done.stderr.split()[-1]) * 1024, done.stdout


@pytest.mark.slow
def test_a_log_of_100_mb_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """It takes little more memory than a small one; its last line is found."""
    small, large = tmp_path / "small.log", tmp_path / "large.log"
    _write(small, MIB)
    _write(large, 100 * MIB)

    _, before, _ = _diagnose(tmp_path, small)
    seconds, after, printed = _diagnose(tmp_path, large)

    print(f"{large.stat().st_size / 1e6:.0f} MB in {seconds:.1f} s, {after / MIB:.0f} MiB resident")
    assert '"rule": "oom"' in printed
    assert after - before < 32 * MIB
    assert after < 400 * MIB


@pytest.mark.slow
def test_a_line_without_an_end_is_cut(tmp_path: Path) -> None:
    """64 MB without a newline are no reason to hold them."""
    path = tmp_path / "endless.log"
    with path.open("w") as file:
        for _ in range(64):
            file.write("x" * MIB)
        file.write("\nCUDA out of memory\n")

    _, after, printed = _diagnose(tmp_path, path)

    assert '"line": 2' in printed
    assert after < 400 * MIB
