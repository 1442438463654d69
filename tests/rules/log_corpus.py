"""Log lines written for these tests: what programs print when they break, and what only looks like it.

``lines/*.txt`` hold them under headings ``== category | where such lines come from``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "lines"


@dataclass(frozen=True)
class Line:
    """One line; ``category`` None where nothing is wrong."""

    text: str
    category: str | None
    source: str


def read(name: str) -> list[Line]:
    """The lines of one file, in order."""
    found: list[Line] = []
    category, source = "", ""
    for text in (FOLDER / f"{name}.txt").read_text().splitlines():
        if text.startswith("== "):
            category, source = text.removeprefix("== ").split(" | ")
        elif text:
            found.append(Line(text, category if name == "accidents" else None, source))
    return found


ACCIDENTS: Final = read("accidents")
BENIGN: Final = read("benign")


def _before(prefix: str) -> Callable[[str], str]:
    return lambda text: prefix + text


def _docker(text: str) -> str:
    return json.dumps({"log": text + "\n", "stream": "stderr", "time": "2024-03-02T11:02:51.13Z"})


def _structured(level: str) -> Callable[[str], str]:
    return lambda text: json.dumps({"ts": 1709377371.13, "level": level, "message": text})


WRAPPINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "as it is": _before(""),
    "logging": _before("2024-03-02 11:02:51,130 "),
    "iso time": _before("2024-03-02T11:02:51.130472Z "),
    "time in brackets": _before("[2024-03-02 11:02:51] "),
    "torch rank": _before("[rank3]: "),
    "torchrun tee": _before("[default3]:"),
    "srun -l": _before("3: "),
    "pdsh": _before("gpu-b12: "),
    "syslog": _before("Mar  2 11:02:51 gpu-b12 trainer[8812]: "),
    "containerd": _before("2024-03-02T11:02:51.130472Z stderr F "),
    "kubectl logs --prefix": _before("[pod/trainer-0/trainer] "),
    "docker compose": _before("trainer-1  | "),
    "ray": _before("(TrainWorker pid=8812, ip=10.0.0.3) "),
    "dmesg": _before("[   77.123456] "),
    "dmesg decoded": _before("kern  :err   : 2024-03-02T11:02:51,130000+00:00 "),
    "basicConfig": _before("ERROR:root:"),
    "loguru": _before("2024-03-02 11:02:51.130 | ERROR | trainer:main:81 - "),
    "time and rank": _before("2024-03-02T11:02:51.130472Z [rank3]: "),
    "red": lambda text: f"\x1b[31m{text}\x1b[0m",
    "bold in a prefix": _before("\x1b[1m[rank 3]\x1b[0m "),
    "json-file of docker": _docker,
    "structured": _structured("error"),
    "carriage return": lambda text: text + "\r",
    "spaces at the end": lambda text: text + "   ",
}

# Programs log at level error what went wrong, and the rest at another.
QUIET_WRAPPINGS: Final[Mapping[str, Callable[[str], str]]] = {
    **WRAPPINGS,
    "basicConfig": _before("INFO:root:"),
    "loguru": _before("2024-03-02 11:02:51.130 | INFO | trainer:main:81 - "),
    "structured": _structured("info"),
}
