"""What the endpoint may use, in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

_GIB = 1 << 30


def _half_of_memory() -> int:
    return max(_GIB, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


@dataclass(frozen=True)
class Limits:
    """Bounds of one endpoint; sizes in bytes, times in seconds.

    queries and inserts are counted apart, so readers never keep an insert out.
    """

    queries: int = 32
    inserts: int = 32
    memory_bytes: int = field(default_factory=_half_of_memory)
    cache_bytes: int = 256 << 20
    body_bytes: int = _GIB
    query_text_bytes: int = 16 << 20
    spool_bytes: int = 8 << 20
    result_buffer_bytes: int = 1 << 20
    sessions: int = 256
    stop_timeout_s: float = 20.0
