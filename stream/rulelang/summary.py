"""Summaries: text with ``{name}`` or ``{name:.3g}``, nothing else; widths and precision are bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_LENGTH: Final = 300
_FIELD = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_SPEC = re.compile(r"[<>^]?[0-9]{0,2}(\.[0-9]{1,2})?[defgEG%s]?\Z")
_UNKNOWN: Final = "?"
_LONGEST_VALUE: Final = 200


@dataclass(frozen=True)
class Template:
    """A checked summary. ``names`` are the names it shows."""

    text: str
    names: tuple[str, ...]

    def render(self, values: Mapping[str, Any]) -> str:
        """The sentence; a value that is unknown shows as ``?``."""
        return _FIELD.sub(lambda found: _show(values.get(found[1].strip()), found[2] or ""), self.text)


def parse(text: str) -> tuple[Template, list[tuple[int, str]]]:
    """The template, and its mistakes as (offset in the text, message)."""
    mistakes: list[tuple[int, str]] = []
    names: list[str] = []
    if len(text) > MAX_LENGTH:
        mistakes.append((0, f"expected a summary of at most {MAX_LENGTH} characters, got {len(text)}"))
    for found in _FIELD.finditer(text):
        name, spec = found[1].strip(), found[2] or ""
        if not _NAME.match(name):
            mistakes.append((found.start(), f"expected the name of a value in braces, got {{{found[1]}}}"))
            continue
        if not _SPEC.match(spec):
            mistakes.append((found.start(2), f'expected a format such as ".3g" or ".1f", got "{spec}"'))
            continue
        names.append(name)
    rest = _FIELD.sub(lambda found: " " * len(found[0]), text)
    for brace in "{}":
        if brace in rest:
            mistakes.append((rest.find(brace), "expected each { to be closed by a } after one name"))
            break
    return Template(text, tuple(dict.fromkeys(names))), mistakes


def _show(value: Any, spec: str) -> str:
    if value is None:
        return _UNKNOWN
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return format(int(value) if spec.endswith("d") else value, spec)
        except (ValueError, OverflowError):
            return str(value)
    return str(value)[:_LONGEST_VALUE]
