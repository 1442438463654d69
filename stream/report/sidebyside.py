"""Runs side by side as rows of text: for the terminal, Markdown and HTML alike. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from stream.goodput import PARTS, Spent
from stream.report import numbers, plain
from stream.report.comparing import Comparison, Side
from stream.report.diverging import Divergence
from stream.report.spent import named

_ATTRIBUTES: Final = 20


@dataclass(frozen=True)
class Row:
    """One line. ``differs``: whether the runs do."""

    name: str
    cells: list[str]

    @property
    def differs(self) -> bool:
        """Whether the runs are not alike in it."""
        return len(set(self.cells)) > 1


def sections(found: Comparison) -> list[tuple[str, list[Row]]]:
    """Headings and their rows; rows that say nothing of any run are left out."""
    made = [
        ("Run", _rows(found.sides, _RUN)),
        ("Numbers", [*_rows(found.sides, _NUMBERS), *_evaluations(found.sides)]),
        ("Time", _time(found.sides)), ("Incidents", _rows(found.sides, _INCIDENTS)),
        ("Hardware", _rows(found.sides, _HARDWARE)), ("Configuration", _configuration(found.sides)),
    ]  # fmt: skip
    return [(name, rows) for name, rows in made if rows]


def partings(found: Comparison) -> list[str]:
    """A sentence for each run after the first."""
    names = titles(found.sides)
    return [
        f"{name} and {names[0]}: {_parting(one)}." for name, one in zip(names[1:], found.parting, strict=True)
    ]


def titles(sides: Sequence[Side]) -> list[str]:
    """Names of the runs, with their ids where several are called the same."""
    names = [side.title for side in sides]
    return [f"{side.title} ({side.id[:16]})" if names.count(side.title) > 1 else side.title for side in sides]


def losses(found: Comparison) -> list[Row]:
    """The loss at some common steps."""
    return [Row(f"{step:,}", [numbers.number(one[step]) for one in found.series]) for step in found.shown]


def _parting(one: Divergence) -> str:
    same = f"the same loss up to step {one.same_until:,}" if one.same_until is not None else ""
    if one.step is None:
        return ", ".join(filter(None, (same, f"{one.why} ({one.common:,} common steps)")))
    by = f" by {numbers.number(abs(one.difference))}" if one.difference is not None else ""
    noise = f", noise {numbers.number(one.noise)}" if one.noise is not None else ""
    parted = f"the losses part at step {one.step:,}{by} ({one.why}{noise}, {one.common:,} common steps)"
    return "; ".join(filter(None, (same, parted)))


def _speed(side: Side) -> str | None:
    if side.speed is None or side.speed_name is None:
        return None
    if side.speed_name == "step_time":
        return f"{numbers.seconds(side.speed)} a step"
    return f"{numbers.number(side.speed)} {side.speed_name.replace('_', ' ')}"


Cell = Callable[[Side], "str | None"]

_RUN: Final[dict[str, Cell]] = {
    "run": lambda side: side.id,
    "state": lambda side: side.state,
    "began, UTC": lambda side: numbers.moment(side.started)[:19],
    "lasted": lambda side: numbers.seconds(side.seconds),
    "attempts": lambda side: f"{side.attempts:,}",
    "last step": lambda side: f"{side.last_step:,}" if side.last_step >= 0 else "none",
}
_NUMBERS: Final[dict[str, Cell]] = {
    "last loss": lambda side: None if side.loss is None else numbers.number(side.loss),
    "lowest loss": lambda side: None if side.lowest_loss is None else numbers.number(side.lowest_loss),
    "mean speed": _speed,
}
_INCIDENTS: Final[dict[str, Cell]] = {
    "incidents": lambda side: f"{side.incidents:,}",
    "steps lost": lambda side: f"{side.lost_steps:,}",
    "time lost": lambda side: numbers.seconds(side.lost_seconds),
    "GPU hours lost": lambda side: numbers.gpu_hours(side.gpu_seconds),
}
_HARDWARE: Final[dict[str, Cell]] = {
    "ranks": lambda side: f"{side.hardware.ranks:,}",
    "GPUs seen": lambda side: f"{side.hardware.gpus:,}",
    "nodes": lambda side: (
        f"{len(side.hardware.nodes) + side.hardware.more_nodes:,}: "
        + ", ".join(plain.line(node, 60) for node in side.hardware.nodes[:4])
    ),
}


def _rows(sides: Sequence[Side], cells: dict[str, Cell]) -> list[Row]:
    found = [(name, [cell(side) for side in sides]) for name, cell in cells.items()]
    return [Row(name, [value or "-" for value in values]) for name, values in found if any(values)]


def _evaluations(sides: Sequence[Side]) -> list[Row]:
    names = list(dict.fromkeys(one.name for side in sides for one in side.evaluations))
    rows = []
    for name in names:
        of = [next((one for one in side.evaluations if one.name == name), None) for side in sides]
        rows.append(Row(f"last {name}", ["-" if one is None else numbers.number(one.last) for one in of]))
        rows.append(Row(f"lowest {name}", ["-" if one is None else numbers.number(one.low) for one in of]))
    return rows


def _time(sides: Sequence[Side]) -> list[Row]:
    if all(side.goodput is None for side in sides):
        return []
    rows = [Row("goodput", [_share(side.goodput, "productive") for side in sides])]
    for key in PARTS:
        cells = [
            "-"
            if side.goodput is None
            else f"{numbers.seconds(getattr(side.goodput, key))}, {_share(side.goodput, key)}"
            for side in sides
        ]
        if any(side.goodput is not None and getattr(side.goodput, key) for side in sides):
            rows.append(Row(named(key), cells))
    return rows


def _share(goodput: Spent | None, key: str) -> str:
    return "-" if goodput is None else numbers.share(getattr(goodput, key), goodput.wall)


def _configuration(sides: Sequence[Side]) -> list[Row]:
    """What their resources say, where that differs."""
    names = list(dict.fromkeys(name for side in sides for name in side.attributes))
    rows = [Row(name, [side.attributes.get(name, "-") for side in sides]) for name in names]
    return [row for row in rows if row.differs][:_ATTRIBUTES]
