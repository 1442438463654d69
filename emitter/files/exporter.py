"""Requests as lines of files: OTLP's file format, one file a process, signal and ``rotate`` bytes.

A request is one line, written whole or taken back; a finished file is never touched again. So a reader may
follow while we write, and a process that is killed leaves at most one line without its end.
Source: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from pathlib import Path
from typing import Final, NamedTuple

from emitter._guard import guard, logger
from emitter._records import LOGS, TRACES, Fate, Outcome, Payload
from emitter.files import otlp_json
from emitter.files.place import Place

SUFFIX: Final = ".jsonl"


class _Finished(NamedTuple):
    path: Path
    size: int
    records: int


class FileExporter:
    """An Exporter. Beyond ``keep`` bytes the oldest file of this process goes; its records count as refused.

    ``name`` begins the names of the files, and has to be of this process alone.
    """

    def __init__(self, place: Place, name: str) -> None:
        self.target = f"file://{place.folder}"
        self._place = place
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
        self._files = {signal: _Lane(place, f"{stem}-{signal}") for signal in (LOGS, TRACES)}
        self._finished: deque[_Finished] = deque()
        self._said = False

    def send(self, payload: Payload) -> Outcome:
        """Append one line; RETRY when the disk is full or away."""
        with guard:
            line = otlp_json.line(payload.signal, payload.body)
            try:
                done = self._files[payload.signal].append(line, payload.records)
            except OSError as error:
                return Outcome(
                    Fate.RETRY, f"{error.strerror or error}: {error.filename or self._place.folder}"
                )
            if done is not None:
                self._finished.append(done)
            return Outcome(Fate.SENT, refused=self._make_room())
        return Outcome(Fate.REFUSED, "could not be written as JSON")

    def close(self) -> None:
        """Finish the files."""
        with guard:
            for file in self._files.values():
                file.finish()

    def _make_room(self) -> int:
        """Delete the oldest finished files; how many records they held."""
        lost = 0
        used = sum(file.size for file in self._finished) + sum(file.size for file in self._files.values())
        while self._finished and used > self._place.keep:
            oldest = self._finished.popleft()
            used -= oldest.size
            # Whoever took it away has its records.
            with contextlib.suppress(FileNotFoundError):
                oldest.path.unlink()
                lost += oldest.records
        if lost and not self._said:
            self._said = True
            logger.warning(
                "%s holds as much as it may (keep=%d bytes): the oldest files go, and their records are "
                "counted as refused; ship them earlier, or keep more", self.target, self._place.keep,
            )  # fmt: skip
        return lost


class _Lane:
    """The file of one signal that is being written."""

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name
        self._number = 0
        self._fd: int | None = None
        self._path = place.folder
        self.size = 0
        self._records = 0

    def append(self, line: bytes, records: int) -> _Finished | None:
        """Write the line; the file that was finished to make room for it, if one was. Raises OSError."""
        done = self.finish() if self.size and self.size + len(line) > self._place.rotate else None
        if self._fd is None:
            self._open()
        self._write(line)
        self.size += len(line)
        self._records += records
        if self._place.fsync == "always":
            os.fsync(self._descriptor)
        return done

    def finish(self) -> _Finished | None:
        """Close the file that is being written; the next line begins another."""
        if self._fd is None:
            return None
        done = _Finished(self._path, self.size, self._records)
        try:
            if self._place.fsync != "never":
                os.fsync(self._fd)
        finally:
            os.close(self._fd)
            self._fd, self.size, self._records = None, 0, 0
        return done

    @property
    def _descriptor(self) -> int:
        assert self._fd is not None
        return self._fd

    def _open(self) -> None:
        self._place.folder.mkdir(parents=True, exist_ok=True)
        path = self._place.folder / f"{self._name}-{self._number + 1:06d}{SUFFIX}"
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._number, self._path, self.size, self._records = self._number + 1, path, 0, 0

    def _write(self, line: bytes) -> None:
        """All of it or nothing: a line that was begun is taken back."""
        fd, left = self._descriptor, memoryview(line)
        try:
            while left:
                left = left[os.write(fd, left) :]
        except OSError:
            try:
                os.ftruncate(fd, self.size)
            except OSError:
                # The half line stays at the end of this file; the next one goes into another.
                os.close(fd)
                self._fd, self.size, self._records = None, 0, 0
            raise
