"""Which format a file has, seen from its beginning, not from its name."""

from __future__ import annotations

import csv
import json
import re
from typing import Any, Final

from emitter.vocabulary.metrics import BY_NAME
from stream.offline import jsonl, otlpjson, parquet, table, tensorboard, textlog, trainer_state
from stream.offline.errors import ReadError
from stream.offline.flat import EPOCH_KEYS, STEP_KEYS, TIME_KEYS, name_of
from stream.offline.opening import Opened
from stream.offline.points import Notes, Points
from stream.offline.sieve import Sieve
from stream.offline.tfrecords import is_frame

JSONL, ARRAY, TRAINER_STATE, CSV = "JSON lines", "JSON array", "trainer_state.json", "CSV"
PARQUET, TENSORBOARD, LOG, OTLP = "Parquet", "TensorBoard events", "log", "OTLP lines"
MAX_LOOKED_AT: Final = 20

_ARCHIVES: Final = {
    b"PK\x03\x04": "a zip archive (or a PyTorch checkpoint)",
    b"\xfd7zXZ": "xz data",
    b"BZh": "bzip2 data",
    b"\x04\x22\x4d\x18": "lz4 data",
    b"\xff\xfe": "UTF-16 text; iconv -f UTF-16 -t UTF-8 makes it readable",
    b"\xfe\xff": "UTF-16 text; iconv -f UTF-16 -t UTF-8 makes it readable",
}
_NUMBER = re.compile(r"\s*[-+]?(?:[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|nan|inf(?:inity)?)\s*\Z", re.IGNORECASE)
_READERS: Final = {
    JSONL: jsonl.read,
    ARRAY: jsonl.read_array,
    TRAINER_STATE: trainer_state.read,
    CSV: table.read,
    PARQUET: parquet.read,
    TENSORBOARD: tensorboard.read,
    OTLP: otlpjson.read,
}


def read(source: Opened, notes: Notes, sieve: Sieve | None = None) -> Points:
    """The points of a file, whatever its format. Raises ReadError."""
    found = detect(source)
    if found == LOG:
        return textlog.read(source, notes, sieve)
    return _READERS[found](source, notes)


def detect(source: Opened) -> str:
    """The format. Raises ReadError for what is empty or no recorded data."""
    head = source.head
    if not head:
        raise ReadError(source.name, "", "the file is empty")
    if head.startswith(b"PAR1"):
        return PARQUET
    if is_frame(head):
        return TENSORBOARD
    for start, what in _ARCHIVES.items():
        if head.startswith(start):
            raise ReadError(source.name, "", f"expected recorded training data or a log, got {what}")
    if b"\0" in head:
        raise ReadError(
            source.name, f"byte {head.index(0)}", "expected text or recorded data, got binary data"
        )
    return _text_format(source, head.decode("utf-8", "replace").removeprefix("\ufeff"))


def _text_format(source: Opened, text: str) -> str:
    start = text.lstrip()
    if not start:
        return LOG
    if otlpjson.begins(start):
        return OTLP
    lines = [line for line in text.split("\n", MAX_LOOKED_AT + 1)[:MAX_LOOKED_AT] if line.strip()]
    if start.startswith(("{", "[")):
        objects = sum(isinstance(_parsed(line), dict) for line in lines)
        if objects and f'"{trainer_state.HISTORY}"' in lines[0]:
            return TRAINER_STATE
        if isinstance(_parsed(lines[0]), dict) or (objects and objects * 2 >= len(lines)):
            return JSONL
    if start.startswith("{") and re.match(r'\{\s*"(?:[^"\\]|\\.)*"\s*:', start):
        return _one_object(source, start)
    if re.match(r"\[\s*\{\s*\"", start):
        return ARRAY
    return CSV if _is_table(lines) else LOG


def _one_object(source: Opened, start: str) -> str:
    """One JSON document over several lines: only a trainer's state says something over steps."""
    if "\n" not in start.rstrip() and not _looks_like_state(start):
        # One object cut short: the reader says where.
        return JSONL
    if _looks_like_state(start):
        return TRAINER_STATE
    message = f"expected `{trainer_state.HISTORY}` (trainer_state.json) or one object a line, got other JSON"
    raise ReadError(source.name, "", message)


def _looks_like_state(start: str) -> bool:
    words = (
        '"log_history"',
        '"best_metric"',
        '"best_model_checkpoint"',
        '"global_step"',
        '"is_hyper_param_search"',
    )
    return any(word in start for word in words)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_table(lines: list[str]) -> bool:
    """A header of words with one that we know, and below it as many cells, some of them numbers."""
    mark = table.delimiter_of(lines[0])
    if mark is None:
        return False
    try:
        rows = list(csv.reader([line.removesuffix("\r") for line in lines[:5]], delimiter=mark))
    except csv.Error:
        return False
    header = [cell.strip() for cell in rows[0]]
    if len(header) < 2 or any(not cell or len(cell) > 200 or _NUMBER.match(cell) for cell in header):
        return False
    ours = {*STEP_KEYS, *TIME_KEYS, *EPOCH_KEYS}
    known = any(cell in ours or name_of(cell) in BY_NAME for cell in header)
    if len(rows) == 1:
        return known and any(cell in STEP_KEYS for cell in header)
    numbers = any(_NUMBER.match(cell) for row in rows[1:] for cell in row)
    return known and numbers and any(len(row) == len(header) for row in rows[1:])
