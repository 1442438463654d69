"""Python stacks of all threads of this process, as text of bounded size.

Seen from inside: a thread that is stuck in C shows the Python line that called it, and while a thread holds
the GIL nothing here runs at all. That is what the supervisor outside is for (``trainwarden run``).
"""

from __future__ import annotations

import linecache
import sys
import threading
from types import FrameType
from typing import Final

TEXT_LIMIT: Final = 32000
FRAMES_INNER: Final = 40
FRAMES_OUTER: Final = 5
LINE_LIMIT: Final = 200


def stacks(limit: int = TEXT_LIMIT) -> str:
    """One block a thread, the main thread first, most recent call last; one for threads that are alike."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main = threading.main_thread().ident
    alike: dict[str, list[str]] = {}
    for ident, frame in sorted(sys._current_frames().items(), key=lambda pair: (pair[0] != main, pair[0])):
        alike.setdefault(_text(frame), []).append(f"{ident} ({names.get(ident, 'unknown')})")
    return _join([_title(who) + text for text, who in alike.items()], limit)


def _title(threads: list[str]) -> str:
    word = "Thread" if len(threads) == 1 else f"{len(threads)} threads alike:"
    more = f" and {len(threads) - 8} more" if len(threads) > 8 else ""
    return f"{word} {', '.join(threads[:8])}{more}, most recent call last:\n"


def _text(frame: FrameType | None) -> str:
    lines = []
    while frame is not None:
        lines.append(_line(frame))
        frame = frame.f_back
    if len(lines) > FRAMES_INNER + FRAMES_OUTER:
        left_out = len(lines) - FRAMES_INNER - FRAMES_OUTER
        lines[FRAMES_INNER:-FRAMES_OUTER] = [f"  ... {left_out} frames ...\n"]
    return "".join(reversed(lines))


def _line(frame: FrameType) -> str:
    code = frame.f_code
    name = getattr(code, "co_qualname", code.co_name)
    place = f'  File "{code.co_filename}", line {frame.f_lineno}, in {name}\n'
    source = _source(code.co_filename, frame.f_lineno)
    return f"{place}    {source}\n" if source else place


def _source(file: str, number: int) -> str:
    # Only what Python has read already: the disk may be the reason why nothing moves.
    cached = linecache.cache.get(file)
    if cached is None or len(cached) != 4 or not 0 < number <= len(cached[2]):
        return ""
    return cached[2][number - 1].strip()[:LINE_LIMIT]


def _join(blocks: list[str], limit: int) -> str:
    """As many blocks as fit; the main thread is the first, and is cut rather than left out."""
    kept: list[str] = []
    size = 0
    for number, block in enumerate(blocks):
        if kept and size + len(block) > limit - 100:
            kept.append(f"... {len(blocks) - number} more stacks did not fit\n")
            break
        kept.append(block[: limit - 100])
        size += len(block) + 1
    return "\n".join(kept)
