"""Sets this process's wall clock as a file says: what an operator does with ``date -s``, for one process.

Python imports it at start where PYTHONPATH leads here. The monotonic clock stays.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

with open(os.environ["TRAINWARDEN_TEST_CLOCK"], "rb") as _file:
    _ahead = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)
_time, _time_ns = time.time, time.time_ns


def _ahead_s() -> int:
    return int(struct.unpack_from("q", _ahead)[0])


time.time = lambda: _time() + _ahead_s()
time.time_ns = lambda: _time_ns() + _ahead_s() * 1_000_000_000
