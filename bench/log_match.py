"""Matching log lines against all log rules, in MB/s, against a loop over the same patterns with ``re``.

The lines are what a quiet run prints; one in 500 is an error. RE2's grammar is not quite that of ``re``:
patterns only RE2 knows are left out for the peer, which makes it faster.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import Final

from bench.row import Row
from bench.steps import rate
from stream import resources
from stream.diagnose.logmatch import LogMatcher
from stream.rulelang import load_packs

_LINES: Final = 20_000
_FOR_PEER: Final = 400
_ERROR: Final = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."


def _lines() -> list[str]:
    some = random.Random(3)
    kinds: list[Callable[[int], str]] = [
        lambda n: (
            f"2026-01-01 00:{n % 60:02d}:00,1 - INFO - step {n} | loss {some.random():.4f} | lr 3.0e-04"
        ),
        lambda n: f"[rank{n % 8}]: Loading checkpoint shards:  {n % 100}%|███▎   | {n % 33}/33 [00:02<00:10]",
        lambda n: (
            f"{{'loss': {some.random():.4f}, 'grad_norm': {some.random():.6f}, 'epoch': {n / 1e3:.2f}}}"
        ),
        lambda n: (
            f"/usr/lib/torch/utils/data/dataloader.py:{n}: UserWarning: This DataLoader will create 8 workers"
        ),
        lambda n: f"Jan  1 00:00:{n % 60:02d} node-{n % 16} systemd[1]: Started Session {n} of user trainer.",
    ]
    return [_ERROR if n % 500 == 0 else kinds[n % 5](n) for n in range(_LINES)]


def _python_patterns(patterns: list[str]) -> Iterator[re.Pattern[str]]:
    for pattern in patterns:
        try:
            yield re.compile(pattern)
        except re.error:
            continue


def measure() -> list[Row]:
    """Many lines at a time, and line by line."""
    rules = [rule for rule in load_packs([resources.path("rules")]).rules if rule.log is not None]
    patterns = [text for rule in rules if rule.log for text in (*rule.log.match, *rule.log.unless)]
    matcher, lines, theirs = LogMatcher(rules), _lines(), list(_python_patterns(patterns))
    few = lines[:_FOR_PEER]
    size, size_of_few = (sum(len(line.encode()) + 1 for line in some) / 1e6 for some in (lines, few))
    peer = rate(lambda: [[one.search(line) for one in theirs] for line in few], 1) * size_of_few
    together = rate(lambda: matcher.match_all(lines), 1) * size
    alone = rate(lambda: [matcher.match(line) for line in lines], 1) * size
    name = f"re over {len(theirs)} patterns"
    return [
        Row(f"log lines, many at a time, {len(patterns)} patterns", together, peer, "MB/s", name),
        Row("log lines, one by one", alone, peer, "MB/s", name),
    ]
