"""Python stacks of all threads of this process, as text."""

from __future__ import annotations

import sys
import threading
import traceback


def stacks() -> str:
    """One block a thread, the main thread first, each in the form of a traceback."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main = threading.main_thread().ident
    frames = sorted(sys._current_frames().items(), key=lambda pair: (pair[0] != main, pair[0]))
    blocks = []
    for ident, frame in frames:
        lines = "".join(traceback.format_stack(frame))
        blocks.append(f"Thread {ident} ({names.get(ident, 'unknown')}), most recent call last:\n{lines}")
    return "\n".join(blocks)
