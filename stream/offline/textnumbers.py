"""Numbers in a line of a text log: the step, its metrics, and whether they are an evaluation's.

Understood: Megatron (``iteration 100/ 1000 | lm loss: 2.3E+00 | ...``), DeepSpeed (``step=10, skipped=0,
lr=[...]``), nanoGPT (``iter 10: loss 2.3, time 20ms``; ``step 250: train loss 2.1, val loss 2.2``), Hugging
Face (``{'loss': 2.3, 'epoch': 0.1}``), fairseq and metaseq (JSON behind the logger's words), torchtitan,
Lightning's bars, and ``key=value`` or ``key: value`` in general.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from emitter.vocabulary.metrics import BY_NAME
from stream.offline.flat import Flat, is_eval, name_of
from stream.offline.points import Point

_DIGITS: Final = r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBER: Final = rf"{_DIGITS}|[-+]?(?:nan|NaN|NAN|inf(?:inity)?|Inf(?:inity)?|INF)\b"
_KEY: Final = r"[A-Za-z][A-Za-z0-9_./@-]*(?: [A-Za-z][A-Za-z0-9_./@-]*){0,5}"
_VALUE: Final = rf"(?P<number>{_NUMBER})(?P<more>[%\w]*)"
# `key: 1`, `key=1`, `'key': '1'`, `key (ms): 1`, `lr=[1, 2]`; and nanoGPT's `loss 2.3`.
_PAIR = re.compile(
    rf"(?P<key>{_KEY})['\"]?\s*(?P<unit>\([^()]{{0,20}}\))?\s*[:=]\s*['\"\[(]{{0,2}}\s*{_VALUE}"
)
_BARE_KEY: Final = "loss|ppl|perplexity|acc|accuracy|lr|grad_norm|gnorm|time|mfu|reward|kl|entropy"
_BARE = re.compile(rf"(?P<key>(?:[A-Za-z_]+ )?(?:{_BARE_KEY}))\s+{_VALUE}")
_STEP_WORD: Final = (
    r"(?:global[_ ]?|train(?:ing)?[_ ])?steps?|iterations?|iters?|it|num_updates|updates?|batch"
)
_STEP = re.compile(
    rf"(?<![A-Za-z0-9])(?P<word>{_STEP_WORD})(?![A-Za-z])"
    r"['\"]?\s*(?:\[|[:=#]\s*\[?)?\s*(?P<step>\d{1,12})(?![\d.]*\d?[eE]?\.)(?:\s*/\s*(?P<of>\d+))?",
    re.IGNORECASE,
)
_EPOCH = re.compile(
    r"(?<![A-Za-z0-9])epochs?['\"]?\s*(?:\[|[:=#]\s*\[?)?\s*(?P<epoch>\d+(?:\.\d+)?)(?:\s*/\s*(?P<of>\d+))?",
    re.IGNORECASE,
)
_BAR = re.compile(r"\|\s*(?P<step>\d+)/(?P<of>\d+)\s*\[")
_DICT = re.compile(r"\{\s*'[^']+'\s*:")
_JSON = re.compile(r"\{\s*\"[^\"]+\"\s*:")
_EVAL_LINE = re.compile(
    r"^\W*(?:\S+ ){0,8}?(?:validation|eval(?:uation)?|test) (?:loss|results?|metrics?)\b", re.IGNORECASE
)
_TELLING: Final = re.compile(
    r"loss|reward|grad|gnorm|\blr\b|learning.rate|acc|perplexity|ppl|\bkl\b|entropy|throughput|tokens|samples|mfu|tflops",
    re.IGNORECASE,
)
_PERHAPS: Final = re.compile(r"loss|step|iter|epoch|update|batch|\blr\b|reward", re.IGNORECASE)
_MILLI: Final = {"time": "step_time", "elapsed time per iteration": "step_time", "iter_time": "step_time"}


class LineNumbers:
    """Reads the lines of one file, one after the other: progress bars say which step comes next."""

    def __init__(self) -> None:
        self._flat = Flat()
        self._bar_step: int | None = None

    def points(self, line: str, number: int) -> Iterator[Point]:
        """The step and the eval in a line, whichever of them are there."""
        if not _PERHAPS.search(line):
            if "|" in line:
                self._see_bar(line)
            return
        for part in line.split("\r") if "\r" in line else (line,):
            if part:
                yield from self._part(part, number)

    def _see_bar(self, line: str) -> None:
        for found in _BAR.finditer(line):
            self._bar_step = int(found["step"])

    def _part(self, line: str, number: int) -> Iterator[Point]:
        found: Iterator[Point] = iter(())
        if "{" in line and (start := _JSON.search(line)):
            found = self._json(line[start.start() :], line[: start.start()], number)
        elif "{" in line and (start := _DICT.search(line)):
            found = self._dict(line[start.start() :], number)
        else:
            found = self._words(line, number)
        yield from found
        if "|" in line:
            self._see_bar(line)

    def _json(self, text: str, before: str, number: int) -> Iterator[Point]:
        try:
            record, _ = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return
        if not any(_TELLING.search(key) for key in record):
            return
        if not isinstance(record.get("step", 0), (int, float, str)):
            return
        evals = bool(re.search(r"\bvalid\b|\beval\b", before))
        yield from self._flat.points(_as_eval(record) if evals else record, number, "json")

    def _dict(self, text: str, number: int) -> Iterator[Point]:
        record: dict[str, Any] = {}
        for found in re.finditer(
            rf"'([^']+)'\s*:\s*['\"\[]?\s*({_NUMBER})", text[: text.find("}") + 1 or None]
        ):
            record[found[1]] = found[2].replace(",", "") if found[2].count(",") else found[2]
        if any(_TELLING.search(key) for key in record):
            if self._bar_step is not None and not any(key in record for key in ("step", "global_step")):
                record["step"] = self._bar_step
            yield from self._flat.points(record, number, "dict")

    def _words(self, line: str, number: int) -> Iterator[Point]:
        step, clock, epoch = _position(line)
        if step is None:
            return
        record = _pairs(line)
        if not any(name_of(key) in BY_NAME or _TELLING.search(key) for key in record):
            return
        evals = _EVAL_LINE.search(line) is not None
        record = _as_eval(record) if evals else record
        for point in self._flat.points({"step": step, **record}, number, clock):
            point.epoch = epoch if point.epoch is None else point.epoch
            yield point


def _position(line: str) -> tuple[int | None, str, float | None]:
    """The step, the word it is counted by, and the epoch. Steps inside an epoch are added up."""
    at = _STEP.search(line)
    in_epoch = _EPOCH.search(line)
    epoch = float(in_epoch["epoch"]) if in_epoch else None
    if at is None:
        bar = _BAR.search(line) if in_epoch and epoch is not None else None
        if bar is None or epoch is None:
            return None, "", epoch
        return int(epoch) * int(bar["of"]) + int(bar["step"]), "bar", epoch
    step, word = int(at["step"]), at["word"].lower().rstrip("s")
    if in_epoch and epoch is not None and at["of"] and in_epoch["of"] and in_epoch.start() < at.start():
        # `Epoch [2/10], Step [100/600]`: epochs are counted from 1 there.
        step += (max(int(epoch), 1) - 1) * int(at["of"])
    return step, word, epoch


def _pairs(line: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pattern in (_PAIR, _BARE):
        for pair in pattern.finditer(line):
            key = _key(pair["key"])
            if key is None or key in found:
                continue
            value = pair["number"].replace(",", "")
            name, milli = _MILLI.get(key), pair["more"] == "ms" or pair.groupdict().get("unit") == "(ms)"
            if milli:
                found[name or key] = float(value) / 1000.0 if name else value
            elif name is None or pair["more"] == "s":
                found[name or key] = value
            else:
                found[key if key != "time" else "time_logged"] = value
    return found


def _key(text: str) -> str | None:
    """A metric's name out of the words before a number; None for the counters themselves."""
    key = text.strip().removeprefix("train ") if text.startswith("train loss") else text.strip()
    for lead in ("INFO ", "root ", "and "):
        key = key.removeprefix(lead)
    return None if _STEP.fullmatch(f"{key} 1") or _EPOCH.fullmatch(f"{key} 1") else key


def _as_eval(record: dict[str, Any]) -> dict[str, Any]:
    """A line that says it is an evaluation: its numbers are that, whatever their names."""
    renamed = {}
    for key, value in record.items():
        name = key if key in ("step", "num_updates", "epoch") or is_eval(key) else f"eval_{_short(key)}"
        renamed[name] = value
    return renamed


def _short(key: str) -> str:
    return "loss" if key.lower() in ("lm loss value", "lm loss", "validation loss", "loss") else key
