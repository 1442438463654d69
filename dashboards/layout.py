"""Puts panels on Grafana's grid of 24 columns, section by section, and marks on their curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import dashboard, timeseries
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import Panel

COLUMNS: Final = 24
_FIRST_HEADING: Final = 900
"""Ids of headings, so that panels keep theirs when a section comes between."""


class Line(NamedTuple):
    """Panels side by side, of one height; of equal width unless ``widths`` says otherwise."""

    height: int
    panels: Sequence[Panel]
    widths: Sequence[int] = ()


class Section(NamedTuple):
    """A heading (none where it is empty) and the lines below it."""

    title: str
    lines: Sequence[Line]


def lay_out(board: dashboard.Dashboard, sections: Sequence[Section]) -> None:
    """Put the sections' panels on the dashboard, from top to bottom."""
    top = 0
    for index, section in enumerate(sections):
        if section.title:
            heading = dashboard.Row(section.title).id(_FIRST_HEADING + index).collapsed(False)
            board.with_row(heading.grid_pos(models.GridPos(x=0, y=top, w=COLUMNS, h=1)))
            top += 1
        for line in section.lines:
            _place(board, line, top)
            top += line.height


def _place(board: dashboard.Dashboard, line: Line, top: int) -> None:
    widths = line.widths or [COLUMNS // len(line.panels)] * len(line.panels)
    left = 0
    for panel, width in zip(line.panels, widths, strict=True):
        panel.grid_pos(models.GridPos(x=left, y=top, w=width, h=line.height))
        board.with_panel(panel)
        left += width


def curves(sections: Sequence[Section]) -> list[int]:
    """Ids of the panels that can show marks: those with a time axis."""
    panels = [panel for section in sections for line in section.lines for panel in line.panels]
    ids = [panel.build().id_val for panel in panels if isinstance(panel, timeseries.Panel)]
    return [number for number in ids if number is not None]
