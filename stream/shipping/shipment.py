"""A folder of files to a target: side by side in the order of their times, each record once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emitter._records import Fate, Outcome
from stream.folders import files_below
from stream.shipping.cursor import NAME, Cursor
from stream.shipping.errors import ShippingError
from stream.shipping.reading import Source, Tell
from stream.shipping.target import Target

SUFFIXES: Final = (".jsonl", ".jsonl.gz")
POLL_S: Final = 0.5
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 8.0
PROGRESS_S: Final = 5.0


@dataclass
class Totals:
    """What was done, and what could not be."""

    files: int = 0
    lines: int = 0
    records: int = 0
    refused: int = 0
    bad: int = 0


class Shipment:
    """``path``: a folder, or one file. ``tell`` gets one line for each thing that is wrong.

    Ranks are sent side by side: whoever compares them must not see one run long after another.
    """

    def __init__(
        self, path: Path, target: Target, tell: Tell, *, cursor: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        if not path.exists():
            raise ShippingError(f"{path}: expected a folder or a file, found none of this name")
        self._path, self._target, self._tell, self._sleep = path, target, tell, sleep
        self._folder = path if path.is_dir() else path.parent
        self._cursor = Cursor(cursor or self._folder / NAME, target.name)
        self._sources: dict[str, Source] = {}
        self._refused = 0
        self._told_at = time.monotonic()

    def run(self, *, follow: bool, patience_s: float) -> Totals:
        """Ship what is there; ``follow``: and what comes, until KeyboardInterrupt.

        Gives up where the target takes nothing for ``patience_s``. Raises ShippingError.
        """
        try:
            while True:
                self._find()
                while (source := self._earliest(final=not follow)) is not None:
                    self._ship(source, patience_s)
                if not follow:
                    return self.totals
                self._sleep(POLL_S)
        finally:
            self._close()

    @property
    def totals(self) -> Totals:
        """So far."""
        sources = self._sources.values()
        return Totals(
            sum(bool(source.lines) for source in sources), sum(source.lines for source in sources),
            sum(source.records for source in sources) - self._refused, self._refused,
            sum(source.bad for source in sources),
        )  # fmt: skip

    def _find(self) -> None:
        """New files. Raises ShippingError."""
        try:
            paths = [self._path] if self._path.is_file() else sorted(files_below(self._folder))
        except FileNotFoundError:  # it may come again, as on a network's disk
            return
        except OSError as error:
            raise ShippingError(f"{self._folder}: cannot be read: {error.strerror}") from error
        for path in paths:
            if path.is_file() and path.name.endswith(SUFFIXES):
                name = str(path.relative_to(self._folder)).removesuffix(".gz")
                if name not in self._sources:
                    self._sources[name] = Source(path, name, *self._cursor.place(name), self._tell)

    def _earliest(self, *, final: bool) -> Source | None:
        ready = [source for source in self._sources.values() if source.read(final=final)]
        return min(ready, key=lambda source: source.next.time if source.next else 0, default=None)

    def _ship(self, source: Source, patience_s: float) -> None:
        """Deliver the next batch of this file, however long that takes, and write down how far we are."""
        batch = source.next
        assert batch is not None
        if batch.payload is not None:
            outcome = self._deliver(source, patience_s)
            if outcome.fate is Fate.REFUSED:
                self._refused += batch.payload.records
                self._tell(f"{source.path}: {batch.payload.records} records were refused: {outcome.why}")
            self._refused += outcome.refused
        source.shipped()
        self._cursor.move(source.name, source.offset, source.mark())
        self._cursor.save()
        if time.monotonic() - self._told_at >= PROGRESS_S:
            self._told_at = time.monotonic()
            self._tell(f"{self.totals.records} records shipped so far")

    def _deliver(self, source: Source, patience_s: float) -> Outcome:
        assert source.next is not None
        assert source.next.payload is not None
        wait_s, waited_s, told = FIRST_WAIT_S, 0.0, False
        while (outcome := self._target.send(source.next.payload)).fate is Fate.RETRY:
            if not told:
                told = True
                self._tell(f"{self._target.name} does not answer ({outcome.why}); trying again")
            if waited_s >= patience_s:
                raise ShippingError(
                    f"{self._target.name} took nothing for {waited_s:.0f} s ({outcome.why}); "
                    "run the same command again to go on from here"
                )
            pause = max(wait_s, min(outcome.wait_s or 0.0, 60.0))
            self._sleep(pause)
            waited_s, wait_s = waited_s + pause, min(2 * wait_s, LONGEST_WAIT_S)
        return outcome

    def _close(self) -> None:
        for source in self._sources.values():
            source.close()
        self._cursor.close()
        self._target.close()
