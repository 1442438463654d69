"""Where the numbers of a log line are. Lines of one form differ only in them, so a form is found out once.

``find`` looks at a line for the first time, slowly; the layout's own pattern then reads the lines like it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from emitter.vocabulary.metrics import BY_NAME
from stream.offline.flat import is_eval, name_of

_DIGITS: Final = r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
NUMBER: Final = rf"(?:{_DIGITS}|[-+]?(?:nan|NaN|NAN|inf(?:inity)?|Inf(?:inity)?|INF)\b)"
_KEY: Final = r"[A-Za-z][A-Za-z0-9_./@-]*(?: [A-Za-z][A-Za-z0-9_./@-]*){0,5}"
_VALUE: Final = rf"(?P<number>{NUMBER})(?P<more>[%\w]*)"
# `key: 1`, `key=1`, `'key': '1'`, `key (ms): 1`, `lr=[1, 2]`; and nanoGPT's `loss 2.3`.
_PAIR = re.compile(
    rf"(?P<key>{_KEY})['\"]?\s*(?P<unit>\([^()]{{0,20}}\))?\s*[:=]\s*['\"\[(]{{0,2}}\s*{_VALUE}"
)
_BARE_KEY: Final = "loss|ppl|perplexity|acc|accuracy|lr|grad_norm|gnorm|time|mfu|reward|kl|entropy"
_BARE = re.compile(rf"(?P<key>(?:[A-Za-z_]+ )?(?:{_BARE_KEY}))(?P<unit>)\s+{_VALUE}")
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
BAR = re.compile(r"\|\s*(?P<step>\d+)/(?P<of>\d+)\s*\[")
_EVAL_LINE = re.compile(
    r"^\W*(?:\S+ ){0,8}?(?:validation|eval(?:uation)?|test) (?:loss|results?|metrics?)\b", re.IGNORECASE
)
TELLING: Final = re.compile(
    r"loss|reward|grad|gnorm|\blr\b|learning.rate|acc|perplexity|ppl|\bkl\b|entropy|throughput|tokens|samples"
    r"|mfu|tflops",
    re.IGNORECASE,
)
_STEP_TIMES: Final = frozenset({"time", "elapsed time per iteration", "iter_time", "step_time"})
_EVAL_LOSS: Final = frozenset({"lm loss value", "lm loss", "validation loss", "loss", "test loss"})
_LEADS: Final = ("INFO ", "root ", "and ")
_TOKENS = re.compile(r"(?P<number>[-+]?\d[\d.,:eE+-]*)|(?P<space>\s+)")

_STEP_ROLE, _OF_ROLE, _EPOCH_ROLE, _EPOCH_OF_ROLE = "#step", "#of", "#epoch", "#epochs"
Span = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """One form of lines. ``roles`` names each number that counts, in the order of the line.

    ``milli``: metrics that are written in milliseconds.
    """

    line: str
    roles: tuple[tuple[str, Span], ...]
    clock: str
    milli: frozenset[str]

    def first(self) -> tuple[dict[str, Any], float | None]:
        """The record and the epoch in the line it was found in."""
        return self._record([self.line[start:end] for _, (start, end) in self.roles])

    def read(self, line: str) -> tuple[dict[str, Any], float | None] | None:
        """The record and the epoch in another line; None where it has another form."""
        found = self._pattern.match(line)
        return None if found is None else self._record(list(found.groups()))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts, position = [], 0
        for _, (start, end) in self.roles:
            parts.append(_literal(self.line[position:start]))
            position = end
        return re.compile(f"({NUMBER})".join([*parts, _literal(self.line[position:]) + r"\s*\Z"]))

    def _record(self, texts: list[str]) -> tuple[dict[str, Any], float | None]:
        counters: dict[str, str] = {}
        record: dict[str, Any] = {"step": 0}
        for (role, _), text in zip(self.roles, texts, strict=True):
            number = text.replace(",", "") if "," in text else text
            if role.startswith("#"):
                counters[role] = number
            else:
                record[role] = float(number) / 1000.0 if role in self.milli else float(number)
        record["step"] = _step(counters, self.clock)
        return record, float(counters[_EPOCH_ROLE]) if _EPOCH_ROLE in counters else None


def _literal(text: str) -> str:
    """What stands between the numbers; others in it (times, counters) may change."""
    made, position = "", 0
    for token in _TOKENS.finditer(text):
        made += re.escape(text[position : token.start()])
        made += r"[-+]?\d[\d.,:eE+-]*" if token["number"] else r"\s+"
        position = token.end()
    return made + re.escape(text[position:])


def _step(counters: Mapping[str, str], clock: str) -> int:
    """The step. Where it is counted inside an epoch of known length, epochs are added up."""
    step, epoch, of = int(counters[_STEP_ROLE]), counters.get(_EPOCH_ROLE), counters.get(_OF_ROLE)
    if epoch is None or of is None:
        return step
    if clock == "bar":
        return int(float(epoch)) * int(of) + step
    # `Epoch [2/10], Step [100/600]`: epochs are counted from 1 there.
    return (max(int(float(epoch)), 1) - 1) * int(of) + step if _EPOCH_OF_ROLE in counters else step


def find(line: str) -> Layout | None:
    """The layout of a line that carries a step and its metrics; None for any other line."""
    counters, clock = _counters(line)
    if not counters:
        return None
    evals = _EVAL_LINE.search(line) is not None
    taken = {span for _, span in counters}
    pairs, milli = _pairs(line, evals, taken)
    if not any(name_of(name) in BY_NAME or TELLING.search(name) for name, _ in pairs):
        return None
    roles = tuple(sorted([*counters, *pairs], key=lambda role: role[1]))
    return Layout(line, roles, clock, milli)


def _counters(line: str) -> tuple[list[tuple[str, Span]], str]:
    at, epoch = _STEP.search(line), _EPOCH.search(line)
    found: list[tuple[str, Span]] = [(_EPOCH_ROLE, epoch.span("epoch"))] if epoch else []
    if at is None:
        at = BAR.search(line) if epoch else None
        if at is None:
            return [], ""
        return [*found, (_STEP_ROLE, at.span("step")), (_OF_ROLE, at.span("of"))], "bar"
    found.append((_STEP_ROLE, at.span("step")))
    if epoch and at["of"] and epoch["of"] and epoch.start() < at.start():
        found += [(_OF_ROLE, at.span("of")), (_EPOCH_OF_ROLE, epoch.span("of"))]
    return found, at["word"].lower().rstrip("s")


def _pairs(line: str, evals: bool, taken: set[Span]) -> tuple[list[tuple[str, Span]], frozenset[str]]:
    found: dict[str, Span] = {}
    milli: set[str] = set()
    for pattern in (_PAIR, _BARE):
        for pair in pattern.finditer(line):
            key = _key(pair["key"])
            if key is None or pair.span("number") in taken:
                continue
            in_milli = pair["more"] == "ms" or pair["unit"] == "(ms)"
            name = _named(key, in_milli or pair["more"] == "s" or pair["unit"] == "(s)", evals)
            if name not in found:
                found[name] = pair.span("number")
                taken.add(pair.span("number"))
                milli |= {name} if in_milli and name == "step_time" else set()
    return list(found.items()), frozenset(milli)


def _key(text: str) -> str | None:
    """A metric's name out of the words before a number; None for the counters themselves."""
    key = text.strip()
    for lead in _LEADS:
        key = key.removeprefix(lead)
    key = "loss" if key == "train loss" else key
    return None if _STEP.fullmatch(f"{key} 1") or _EPOCH.fullmatch(f"{key} 1") else key


def _named(key: str, in_time: bool, evals: bool) -> str:
    """The name of a number, seen in its line: `time` may be how long a step took."""
    if evals and not is_eval(key):
        return "eval_loss" if key.lower() in _EVAL_LOSS else f"eval_{key}"
    if key in _STEP_TIMES and in_time:
        return "step_time"
    return "time_logged" if key == "time" else key
