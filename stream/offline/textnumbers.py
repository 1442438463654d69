"""Numbers in a text log, put together to steps and evals.

Understood: Megatron (``iteration 100/ 1000 | lm loss: 2.3E+00 | ...``), DeepSpeed (``step=10, skipped=0,
lr=[...]``), nanoGPT (``iter 10: loss 2.3, time 20ms``; ``step 250: train loss 2.1, val loss 2.2``), Hugging
Face (``{'loss': 2.3, 'epoch': 0.1}``), fairseq and metaseq (JSON behind the logger's words), torchtitan,
Lightning's bars, and ``key=value`` or ``key: value`` in general.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from stream.offline.flat import STEP_KEYS, Flat, is_eval
from stream.offline.layouts import BAR, NUMBER, TELLING, Layout, find
from stream.offline.points import Point

MAX_LAYOUTS: Final = 8
_DICT = re.compile(r"\{\s*'[^']+'\s*:")
_JSON = re.compile(r"\{\s*\"[^\"]+\"\s*:")
_DICT_PAIR = re.compile(rf"'([^']+)'\s*:\s*['\"\[]?\s*({NUMBER})")
_EVAL_WORD = re.compile(r"\bvalid\b|\beval\b")
_PERHAPS: Final = re.compile(r"loss|step|iter|epoch|update|batch|\blr\b|reward", re.IGNORECASE)


class LineNumbers:
    """Reads the lines of one rank, one after the other: progress bars say which step comes next."""

    def __init__(self) -> None:
        self._flat = Flat()
        self._layouts: list[Layout] = []
        self._bar_step: int | None = None

    def points(self, line: str, number: int) -> list[Point]:
        """The step and the eval in a line, whichever of them are there."""
        if not _PERHAPS.search(line):
            if "|" in line:
                self.see_bar(line)
            return []
        if "\r" not in line:
            return self._part(line, number)
        return [point for part in line.split("\r") if part for point in self._part(part, number)]

    def see_bar(self, line: str) -> bool:
        """Remember the step of the last progress bar in a line; False where there is none."""
        found = None
        for found in BAR.finditer(line):
            self._bar_step = int(found["step"])
        return found is not None

    def _part(self, line: str, number: int) -> list[Point]:
        if "{" in line and (start := _JSON.search(line)):
            found = self._json(line[start.start() :], line[: start.start()], number)
        elif "{" in line and (start := _DICT.search(line)):
            found = self._dict(line[start.start() :], number)
        else:
            found = self._words(line, number)
        if "|" in line:
            self.see_bar(line)
        return found

    def _json(self, text: str, before: str, number: int) -> list[Point]:
        try:
            record, _ = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return []
        if not any(TELLING.search(key) for key in record):
            return []
        return self._flat.points(_as_eval(record) if _EVAL_WORD.search(before) else record, number, "json")

    def _dict(self, text: str, number: int) -> list[Point]:
        inside = text[: text.find("}") + 1 or None]
        record: dict[str, Any] = {key: value.replace(",", "") for key, value in _DICT_PAIR.findall(inside)}
        if not any(TELLING.search(key) for key in record):
            return []
        if self._bar_step is not None and not any(key in record for key in STEP_KEYS):
            record["step"] = self._bar_step
        return self._flat.points(record, number, "dict")

    def _words(self, line: str, number: int) -> list[Point]:
        for index, layout in enumerate(self._layouts):
            read = layout.read(line)
            if read is not None:
                if index:
                    self._layouts.insert(0, self._layouts.pop(index))
                return self._made(layout, *read, number)
        new = find(line)
        if new is None:
            return []
        self._layouts = [new, *self._layouts[: MAX_LAYOUTS - 1]]
        return self._made(new, *new.first(), number)

    def _made(self, layout: Layout, record: dict[str, Any], epoch: float | None, number: int) -> list[Point]:
        points = self._flat.points(record, number, layout.clock)
        for point in points:
            point.epoch = epoch if point.epoch is None else point.epoch
        return points


def _as_eval(record: dict[str, Any]) -> dict[str, Any]:
    """A record whose line says it is an evaluation: its numbers are that, whatever their names."""
    kept = (*STEP_KEYS, "epoch")
    return {key if key in kept or is_eval(key) else f"eval_{key}": value for key, value in record.items()}
