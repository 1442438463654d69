"""Stacks of many processes, grouped by where they stand, so that the odd one out shows. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

FRAMES_SHOWN: Final = 3


@dataclass(frozen=True)
class Stack:
    """The threads of one process as py-spy gives them; ``rank`` is None for a helper of the trainer."""

    pid: int
    rank: int | None
    threads: list[dict[str, Any]]

    @property
    def main(self) -> dict[str, Any]:
        """The thread that trains: the one whose number is that of the process."""
        own = [thread for thread in self.threads if thread.get("os_thread_id") == self.pid]
        return (own or self.threads or [{}])[0]


@dataclass(frozen=True)
class Group:
    """Ranks that stand at the same place; ``place`` reads from the innermost frame outwards."""

    ranks: tuple[int, ...]
    place: str

    def __str__(self) -> str:
        word = "rank" if len(self.ranks) == 1 else "ranks"
        return f"{word} {', '.join(map(str, self.ranks))}: {self.place}"


def group(stacks: Collection[Stack]) -> list[Group]:
    """Groups of ranks, the largest first. Line numbers do not count, and native frames only where the Python
    ones are all alike: sampled at different moments, waiting looks different.
    """
    ranked = [stack for stack in stacks if stack.rank is not None]
    by_place: dict[tuple[str, ...], list[Stack]] = {}
    for key in (_python, _all):
        by_place = {}
        for stack in ranked:
            by_place.setdefault(key(stack), []).append(stack)
        if len(by_place) > 1:
            break
    groups = [
        Group(tuple(sorted(stack.rank or 0 for stack in members)), place_of(members[0]))
        for members in by_place.values()
    ]
    return sorted(groups, key=lambda one: (-len(one.ranks), one.ranks))


def holders(stacks: Collection[Stack]) -> list[int]:
    """The ranks that stand in C code and hold the GIL meanwhile."""
    return [
        stack.rank
        for stack in stacks
        if stack.rank is not None
        and any(
            one.get("owns_gil") and one["frames"] and _is_native(one["frames"][0]) for one in stack.threads
        )
    ]


def odd(groups: list[Group], silent: Collection[int], holding: Collection[int] = ()) -> list[int]:
    """The ranks that stand elsewhere than most; where there is no majority, those that cannot run: on a
    machine that is short of time more may seem so than do, and those that hold the GIL are it.
    """
    if len(groups) > 1 and len(groups[0].ranks) > len(groups[1].ranks):
        return sorted(rank for other in groups[1:] for rank in other.ranks)
    return sorted(set(silent) & set(holding) or silent)


def place_of(stack: Stack) -> str:
    """``sleep (libc.so.6) < stuck (train.py:3) < main (train.py:9)``."""
    frames = stack.main.get("frames", [])
    python = [frame for frame in frames if not _is_native(frame)][:FRAMES_SHOWN]
    inside = itertools.takewhile(_is_native, frames)
    named = (frame for frame in inside if not frame["name"].startswith("0x"))
    shown = [*itertools.islice(named, 1), *python]
    return " < ".join(_frame(frame) for frame in shown) or "no stack"


def text(stack: Stack) -> str:
    """All threads, most recent call last, as Python prints them."""
    blocks = []
    for thread in sorted(stack.threads, key=lambda one: one is not stack.main):
        who = f"Thread {thread.get('os_thread_id')} ({thread.get('thread_name') or 'unknown'})"
        gil = ", holds the GIL" if thread.get("owns_gil") else ""
        lines = [f'  File "{f["filename"]}", line {f["line"]}, in {f["name"]}' for f in thread["frames"]]
        blocks.append("\n".join([f"{who}{gil}, most recent call last:", *reversed(lines)]))
    return "\n\n".join(blocks)


def _is_native(frame: dict[str, Any]) -> bool:
    return frame.get("module") is not None


def _frame(frame: dict[str, Any]) -> str:
    file = frame.get("short_filename") or frame.get("filename")
    return f"{frame['name']} ({file}{':' + str(frame['line']) if frame.get('line') else ''})"


def _python(stack: Stack) -> tuple[str, ...]:
    return tuple(
        f"{frame['name']} {frame['filename']}"
        for frame in stack.main.get("frames", [])
        if not _is_native(frame)
    )


def _all(stack: Stack) -> tuple[str, ...]:
    return tuple(f"{frame['name']} {frame['filename']}" for frame in stack.main.get("frames", []))
