"""What a file's name says: the run, the rank, the attempt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream.offline.opening import STDIN

TRAINER_STATE: Final = "trainer_state.json"
_COMPRESSED: Final = (".gz", ".zst", ".zstd")
_RANK = re.compile(r"[-_.]?rank[-_]?(\d{1,6})(?!\d)", re.IGNORECASE)
_CHECKPOINT = re.compile(r"checkpoint-.*\Z")
_EVENT_FILE: Final = "events.out.tfevents."
_TORCHRUN: Final = ("stdout.log", "stderr.log")
_EMITTER_FILE = re.compile(r"(?P<run>.+)-rank(?P<rank>\d+)-[0-9a-f]{8,}-(?:logs|traces)-\d+\Z")
_ATTEMPT = re.compile(r"attempt_(\d{1,6})\Z")


@dataclass(frozen=True)
class Named:
    """``run`` is what the file alone would be called; files that share ``family`` are ranks of one run.

    ``joined``: files of one rank and family belong together, one after the other or side by side.
    """

    path: Path
    shown: str
    run: str
    rank: int | None
    attempt: int | None
    family: tuple[str, str]
    joined: bool = False


def named(path: Path, root: Path | None = None) -> Named:
    """What the name of a file says; ``root`` is the folder the user gave, if it was found in one."""
    if str(path) == STDIN:
        return Named(path, "stdin", "stdin", None, None, ("", "stdin"))
    full = path.absolute()
    name = _uncompressed(path.name)
    if name == TRAINER_STATE:
        folder = next((one for one in full.parents if not _CHECKPOINT.match(one.name)), full.parent)
        return Named(
            path, str(path), folder.name or "run", _rank_above(full, root), None, (str(folder), name)
        )
    if name.startswith(_EVENT_FILE):
        folder = full.parent
        rank = _rank_above(full, root)
        return Named(path, str(path), folder.name or "run", rank, None, (str(folder), ""), joined=True)
    if name in _TORCHRUN and full.parent.name.isdigit():
        return _torchrun(path, full)
    return _plain(path, full, Path(name).stem, root)


def _plain(path: Path, full: Path, stem: str, root: Path | None) -> Named:
    if emitted := _EMITTER_FILE.match(stem):
        run = emitted["run"]
        return Named(path, str(path), run, int(emitted["rank"]), None, (str(full.parent), run), joined=True)
    found = _RANK.search(stem)
    if found:
        common = (stem[: found.start()] + stem[found.end() :]).strip("-_.")
        return Named(
            path, str(path), stem, int(found[1]), None, (str(full.parent), common or full.parent.name)
        )
    rank = _rank_above(full, root)
    if rank is None:
        return Named(path, str(path), stem, None, None, (str(full), stem))
    above = next(one for one in full.parents if _RANK.search(one.name))
    return Named(path, str(path), stem, rank, None, (str(above.parent), stem))


def _torchrun(path: Path, full: Path) -> Named:
    """``LOGS/RUN/attempt_0/3/stderr.log``, as torchrun's --log-dir lays it out."""
    above = full.parent.parent
    attempt = _ATTEMPT.match(above.name)
    folder = above.parent if attempt else above
    number = int(attempt[1]) if attempt else None
    rank = int(full.parent.name)
    return Named(path, str(path), folder.name, rank, number, (str(folder), folder.name), joined=True)


def _rank_above(full: Path, root: Path | None) -> int | None:
    """The rank in the name of a folder between the file and the folder the user gave."""
    limit = root.absolute() if root else None
    for folder in full.parents:
        if limit is None or folder == limit:
            return None
        found = _RANK.search(folder.name)
        if found:
            return int(found[1])
    return None


def _uncompressed(name: str) -> str:
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return name
