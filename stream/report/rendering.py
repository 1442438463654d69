"""Templates to HTML and Markdown: all that they show is cleaned and escaped, except for our own markup."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from stream.report import numbers, plain

_FOLDER: Final = Path(__file__).parent / "templates"
_SHORT: Final = 400
_OURS: Final = {
    "num": numbers.number, "secs": numbers.seconds, "moment": numbers.moment, "clock": numbers.clock,
    "offset": numbers.offset, "counted": numbers.count, "gpu": numbers.gpu_hours,
}  # fmt: skip


def render(template: str, **values: Any) -> str:
    """The page of this template, ``NAME.html.j2`` or ``NAME.md.j2``."""
    return _environment(template.endswith(".html.j2")).get_template(template).render(**values)


@functools.cache
def _environment(html: bool) -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined, finalize=_html if html else _markdown, keep_trailing_newline=True,
    )  # fmt: skip
    for name, function in _OURS.items():
        made.filters[name] = _marked(function)
    made.filters["prose"] = _html_prose if html else _markdown_prose
    made.filters["bdi"] = _bdi
    made.filters["fenced"] = lambda value, limit, language="": Markup(
        plain.fenced(str(value), limit, language)
    )
    made.filters["pre"] = lambda value, limit, size=0: plain.clean(value, limit, size)
    made.filters["path"] = made.filters["trusted"] = Markup
    made.filters["indented"] = lambda value: Markup(value.replace("\n", "\n    "))
    made.filters["short"] = lambda value: plain.line(value, _SHORT)
    made.filters["value"] = numbers.value
    made.filters["used"] = lambda value, name: Markup(numbers.used(value, name))
    made.filters["share"] = lambda part, whole: Markup(numbers.share(part, whole))
    return made


def _marked(function: Any) -> Any:
    return lambda *values: Markup(function(*values))


def _html(value: Any) -> Any:
    """Markup is ours; of a text nothing but what can be seen is left, and autoescape does the rest."""
    return value if isinstance(value, (Markup, int, float)) else plain.clean(value)


def _markdown(value: Any) -> Any:
    return value if isinstance(value, (Markup, int, float)) else Markup(plain.markdown(value))


def _bdi(value: object, limit: int = plain.LINE) -> Markup:
    """Others' text, apart from what stands around it whichever way it is written."""
    return Markup("<bdi>{}</bdi>").format(plain.clean(value, limit))


def _html_prose(value: str) -> Markup:
    """A sentence in which `code` is code."""
    parts = plain.line(value).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 and place < len(parts) - 1 else escape(part)
        for place, part in enumerate(parts)
    )


def _markdown_prose(value: str) -> Markup:
    parts = plain.line(value).split("`")
    return Markup("").join(
        Markup(f"`{part}`" if place % 2 and place < len(parts) - 1 and part.strip() else plain.escaped(part))
        for place, part in enumerate(parts)
    )
