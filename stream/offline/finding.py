"""From the paths a user gives to the files that belong together: one group for each run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream.folders import files_below
from stream.offline.errors import OfflineError, ReadError
from stream.offline.formats import JSONL, LOG, detect
from stream.offline.naming import TRAINER_STATE, Named, named
from stream.offline.opening import STDIN, opened

_LOG_NAME = re.compile(
    r"(\.(log|out|err|stdout|stderr)|\.[oe]\d+)(\.\d+)?(\.gz|\.zst)?\Z|\b(log|train|stdout|stderr)\b.*\.txt\Z"
)
_CHECKPOINT = re.compile(r"checkpoint-(\d+)\Z")
_NEVER: Final = frozenset(
    f".{suffix}"
    for suffix in (
        "arrow", "bin", "ckpt", "h5", "html", "ipynb", "jpg", "md", "model", "npy", "npz", "onnx", "pdf",
        "pkl", "png", "pt", "pth", "py", "safetensors", "svg", "tar", "toml", "yaml", "yml", "zip",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """The files of one run. ``run`` is what the run is called unless the data says otherwise."""

    run: str
    files: tuple[Named, ...]


def find(paths: Iterable[Path], run: str | None, problems: list[OfflineError]) -> list[Group]:
    """All files to read, grouped by run; what cannot be is in ``problems``."""
    files: list[Named] = []
    for path in paths:
        files.extend(_inside(path, problems) if path.is_dir() else [named(path)])
    unique = {one.path: one for one in files}
    if run is not None:
        return [Group(run, tuple(unique.values()))] if unique else []
    return _grouped(unique.values())


def _inside(folder: Path, problems: list[OfflineError]) -> list[Named]:
    found: list[Named] = []
    try:
        candidates = sorted(path for path in files_below(folder) if _promising(path))
    except OSError as error:
        problems.append(ReadError(str(folder), "", f"cannot be read: {error.strerror}"))
        return []
    for path in candidates:
        try:
            if _recorded(path):
                found.append(named(path, folder))
        except ReadError as error:
            if path.name.startswith(TRAINER_STATE):
                problems.append(error)
    if not found:
        told = "expected recorded data in it (trainer_state.json, event files, JSONL, CSV, Parquet, logs)"
        problems.append(ReadError(str(folder), "", f"{told}, found none in {len(candidates)} files"))
    return _newest_states(found)


def _promising(path: Path) -> bool:
    return path.suffix not in _NEVER and path.is_file()


def _recorded(path: Path) -> bool:
    """Whether a file that nobody named looks like recorded data: of texts only those called logs."""
    with opened(path, str(path)) as source:
        found = detect(source)
        if found == LOG:
            return _LOG_NAME.search(path.name) is not None
        # One object in a .json is somebody's settings.
        return found != JSONL or path.suffix != ".json" or b"\n" in source.head.strip()


def _newest_states(files: list[Named]) -> list[Named]:
    """Of the checkpoints of one run only the last state: it holds the history of those before."""
    newest: dict[tuple[str, str], Named] = {}
    for one in files:
        if one.path.name == TRAINER_STATE:
            known = newest.get(one.family)
            if known is None or _age(one) > _age(known):
                newest[one.family] = one
    kept = set(newest.values())
    return [one for one in files if one.path.name != TRAINER_STATE or one in kept]


def _age(one: Named) -> float:
    number = _CHECKPOINT.match(one.path.absolute().parent.name)
    return float(number[1]) if number else float("inf")


def _grouped(files: Iterable[Named]) -> list[Group]:
    families: dict[tuple[str, str], list[Named]] = {}
    for one in files:
        families.setdefault(one.family, []).append(one)
    groups: list[Group] = []
    for (_, common), members in families.items():
        ranks = [one.rank for one in members]
        if len(members) == 1 or all(one.joined for one in members):
            groups.append(Group(members[0].run, tuple(members)))
        elif len(set(ranks)) == len(ranks):
            groups.append(Group(common, tuple(members)))
        else:
            groups.extend(Group(one.run, (one,)) for one in members)
    return groups


def is_stdin(group: Group) -> bool:
    """Whether this is read as it comes."""
    return any(str(one.path) == STDIN for one in group.files)
