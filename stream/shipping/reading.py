"""One file of OTLP lines, read on from a place; requests that follow each other are sent as one."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

import msgspec

from emitter._records import LOGS, METRICS, TRACES, Payload
from stream.otlp import jsoncodec
from stream.otlp.parse import OtlpError
from stream.shipping.records import records_of, time_of

Tell = Callable[[str], None]

MOST_BYTES: Final = 256 * 1024
MOST_LINES: Final = 32
MAX_LINE: Final = 64 * 1024**2
_BEGINS: Final = 256
_UNREADABLE: Final = (OSError, EOFError, zlib.error)
_GZIP: Final = b"\x1f\x8b"
_KINDS: Final = {b"resourceLogs": LOGS, b"resourceSpans": TRACES, b"resourceMetrics": METRICS}


class Batch(NamedTuple):
    """Lines up to byte ``end`` of the content as one request; ``time`` is that of its first record."""

    payload: Payload | None
    time: int
    end: int
    lines: int


class Source:
    """A file that may still grow. ``name`` is the same whether it is compressed or not."""

    def __init__(self, path: Path, name: str, offset: int, begins: str, tell: Tell) -> None:
        self.path, self.name, self.offset, self.begins = path, name, offset, begins
        self.next: Batch | None = None
        self.lines = self.records = self.bad = 0
        self._tell = tell
        self._file: BinaryIO | None = None
        self._line = 0
        self._cut_told = self._failed = self._zipped = False
        self._start = b""
        self._raw: BinaryIO | None = None

    def read(self, *, final: bool) -> bool:
        """Look for the next batch; True when there is one. ``final``: nobody writes any more.

        What cannot be read is told, once, in one line.
        """
        if self.next is None and not self._failed:
            try:
                self.next = self._batch(final)
            except _UNREADABLE as error:
                self._failed = True
                self.bad += 1
                why = getattr(error, "strerror", None) or error
                self._tell(f"{self.path}: cannot be read on from byte {self.offset}: {why}")
                self.close()
        return self.next is not None

    def shipped(self) -> None:
        """The batch was delivered, or is given up."""
        assert self.next is not None
        batch, self.next = self.next, None
        self.offset = batch.end
        self.lines += batch.lines
        self.records += batch.payload.records if batch.payload is not None else 0

    def close(self) -> None:
        """Close the file; reading opens it again."""
        for file in (self._file, self._raw):
            if file is not None:
                file.close()
        self._file = self._raw = None

    def _batch(self, final: bool) -> Batch | None:
        file = self._opened()
        if file.tell() != self.offset:
            file.seek(self.offset)
        bodies: list[bytes] = []
        signal, time, end, lines, records, size = "", 0, self.offset, 0, 0, 0
        while lines < MOST_LINES and size < MOST_BYTES:
            try:
                line = file.readline(MAX_LINE)
            except _UNREADABLE:
                if lines:
                    break  # what came before counts; the next reading says what is wrong
                raise
            if not line.endswith(b"\n") and not (final and _is_whole(line)):
                self._told(line, final)
                break
            found = self._request(line, self._line + 1)
            if found is not None and signal not in ("", found[0]):
                break
            self._line += 1
            end, lines = end + len(line), lines + 1
            if found is not None:
                signal, message = found
                bodies.append(message.SerializeToString())
                time = time or time_of(signal, message)
                records += sum(1 for _ in records_of(signal, message))
                size += len(line)
        if not lines:
            return None
        # Requests of one type, one behind the other, are one request: their lists are joined.
        payload = Payload(signal, b"".join(bodies), records) if bodies else None
        return Batch(payload, time, end, lines)

    def _request(self, line: bytes, number: int) -> tuple[str, Any] | None:
        """The signal and the message of a line; None, told, where there is none that can be shipped."""
        if not line.strip():
            return None
        signal = next((kind for key, kind in _KINDS.items() if b'"' + key in line[:200]), None)
        try:
            if signal == LOGS:
                return LOGS, jsoncodec.logs_from_json(line)
            if signal == TRACES:
                return TRACES, jsoncodec.spans_from_json(line)
            if signal == METRICS:
                return METRICS, jsoncodec.metrics_from_json(line)
            why = "expected a line of OTLP/JSON, got something else"
        except OtlpError as error:
            why = str(error)
        self.bad += 1
        if self.bad == 1:
            self._tell(f"{self.path}, line {number}: {why}; skipped, as are others like it")
        return None

    def _told(self, line: bytes, final: bool) -> None:
        if final and line and not self._cut_told:
            self._cut_told = True
            self.bad += 1
            self._tell(
                f"{self.path}: the last line ends after {len(line)} bytes, in the middle: its writer was "
                "stopped; what came before is shipped"
            )

    def _opened(self) -> BinaryIO:
        if self._file is not None:
            return self._file
        raw = self._raw = self.path.open("rb")
        self._zipped = raw.read(2) == _GZIP
        raw.seek(0)
        # Offsets are those of the content, so a file that is compressed later is read on all the same.
        zipped = cast("Any", gzip.GzipFile(fileobj=raw)) if self._zipped else None
        self._file = raw if zipped is None else cast("BinaryIO", io.BufferedReader(zipped))
        self._start = self._file.read(_BEGINS)
        if self.offset and self.begins != self._digest():
            self._tell(
                f"{self.path}: is not the file that was shipped under this name; shipped from its beginning"
            )
            self.offset = 0
        return self._file

    def mark(self) -> str:
        """What the shipped part begins with, to know it again."""
        file = self._opened()
        if len(self._start) < _BEGINS and not self._zipped:
            file.seek(0)
            self._start = file.read(_BEGINS)
        self.begins = self._digest()
        return self.begins

    def _digest(self) -> str:
        return hashlib.sha256(self._start[: min(_BEGINS, self.offset)]).hexdigest()[:16]


def _is_whole(line: bytes) -> bool:
    """A last line without its newline counts where it is whole all the same."""
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
