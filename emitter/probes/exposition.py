"""The text formats in which Prometheus exporters answer: samples only.

Prometheus 0.0.4 and 1.0 (quoted UTF-8 names) and OpenMetrics 1.0, without exemplars and timestamps.
Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ ,
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"\s*(?:([a-zA-Z_:][a-zA-Z0-9_:]*)|\"((?:[^\"\\\n]|\\.)*)\")\s*")
_VALUE: Final = re.compile(r"=\s*\"((?:[^\"\\]|\\.)*)\"\s*")
_NUMBER: Final = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.IGNORECASE)
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n", "\\": "\\", '"': '"'}


class Sample(NamedTuple):
    """One series' value now."""

    name: str
    labels: dict[str, str]
    value: float


class BadLineError(ValueError):
    """A line is no sample; the message says what it is."""


def parse(text: str) -> Iterator[Sample | BadLineError]:
    """Each sample, in order; a BadLineError in the place of what is none, so that one costs no other."""
    for line in text.split("\n"):
        line = line.strip()
        if line == "# EOF":
            return
        if line and not line.startswith("#"):
            try:
                yield sample(line)
            except BadLineError as error:
                yield error


def sample(line: str) -> Sample:
    """One line. Raises BadLineError."""
    found = _NAME.match(line)
    name, at = (found.group(), found.end()) if found else ("", 0)
    labels: dict[str, str] = {}
    rest = line[at:].lstrip()
    if rest.startswith("{"):
        given, labels, rest = _braces(rest, line)
        name = name or given
    if not name:
        raise BadLineError(f"expected a metric's name, got {line[:80]!r}")
    words = rest.split(None, 1)
    if not words or not _NUMBER.fullmatch(words[0]):
        raise BadLineError(f"expected a number after the name, got {line[:80]!r}")
    return Sample(name, labels, float(words[0]))


def _braces(text: str, line: str) -> tuple[str, dict[str, str], str]:
    """A quoted name, where there is one, labels, and what follows the closing brace."""
    name, labels, at = "", {}, 1
    while text[at : at + 1] != "}":
        key = _LABEL.match(text, at)
        if key is None or not key.group().strip():
            if not text[at:].lstrip().startswith("}"):
                raise BadLineError(f"expected labels in braces, got {line[:80]!r}")
            at = text.index("}", at)
            continue
        value = _VALUE.match(text, key.end())
        word = key[1] if key[1] is not None else _plain(key[2])
        if value is not None:
            labels[word] = _plain(value[1])
        elif key[2] is not None:
            name = word
        else:
            raise BadLineError(f'expected {word}="..." in braces, got {line[:80]!r}')
        at = (value or key).end()
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "}":
            raise BadLineError(f"expected a comma or a closing brace, got {line[:80]!r}")
    return name, labels, text[at + 1 :]


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[0]), text) if "\\" in text else text
