"""House defaults: what all our panels have in common.

Enumerations are made from their values: the SDK's members are typed only from Python 3.11 on.
"""

from __future__ import annotations

from typing import Final, TypeVar

from grafana_foundation_sdk.builders import common as builders
from grafana_foundation_sdk.builders import dashboard, logs, stat, table, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models

from dashboards.query import LOGS, TABLE, TIME_SERIES, Query, datasource_variable

FLEET_UID: Final = "trainwarden-fleet"
RUN_UID: Final = "trainwarden-run"
TAG: Final = "trainwarden"

GREEN, BLUE, YELLOW, RED, GREY = "green", "blue", "yellow", "red", "text"

COLOR_OF_STATE: Final = {
    "running": GREEN,
    "finished": BLUE,
    "silent": YELLOW,
    "failed": RED,
    "killed": RED,
}
COLOR_OF_DIAGNOSIS: Final = {"firing": RED, "pending": YELLOW, "resolved": GREEN}
COLOR_OF_SEVERITY: Final = {"critical": RED, "warning": YELLOW, "info": BLUE}
COLOR_OF_ACK: Final = {
    **dict.fromkeys(("rejected", "failed", "aborted", "expired"), RED),
    **dict.fromkeys(("received", "scheduled", "running", "mixed"), YELLOW),
    "succeeded": GREEN,
    "no answer": GREY,
}

AnyPanel = TypeVar("AnyPanel", timeseries.Panel, stat.Panel, table.Panel, logs.Panel)
Place = tuple[int, int, int, int]
"""x, y, width and height on Grafana's grid of 24 columns."""


def _described(panel: AnyPanel, panel_id: int, title: str, description: str, place: Place) -> AnyPanel:
    x, y, width, height = place
    panel.id(panel_id).title(title).description(description)
    panel.grid_pos(models.GridPos(x=x, y=y, w=width, h=height))
    return panel


def curve(
    panel_id: int,
    title: str,
    description: str,
    place: Place,
    unit: str,
    sql: str,
    *,
    symlog: bool = False,
    bounds: tuple[float | None, float | None] = (None, None),
) -> timeseries.Panel:
    """A line chart of ``time``, ``series``, ``value``; buckets down to 10 ms, at most 1000 of them.

    ``symlog``: linear between -1 and 1, logarithmic beyond, so that an explosion does not flatten the rest.
    ``bounds``: lower and upper end of the axis.
    """
    panel = _described(timeseries.Panel(), panel_id, title, description, place)
    panel.with_target(Query(sql, TIME_SERIES)).unit(unit).display_name("${__field.labels.series}")
    panel.interval("10ms").max_data_points(1000)
    panel.line_width(1.5).fill_opacity(8).show_points(shapes.VisibilityMode("auto")).span_nulls(False)
    panel.tooltip(builders.VizTooltipOptions().mode(shapes.TooltipDisplayMode("multi"))).legend(_legend())
    if symlog:
        scale = builders.ScaleDistributionConfig().type(shapes.ScaleDistribution("symlog"))
        panel.scale_distribution(scale.log(10).linear_threshold(1))
    for end, set_end in zip(bounds, (panel.min, panel.max), strict=True):
        if end is not None:
            set_end(end)
    return panel


def _legend() -> builders.VizLegendOptions:
    legend = builders.VizLegendOptions()
    legend.show_legend(True).display_mode(shapes.LegendDisplayMode("list"))
    legend.placement(shapes.LegendPlacement("bottom"))
    return legend


def number(
    panel_id: int,
    title: str,
    description: str,
    place: Place,
    unit: str,
    sql: str,
    *,
    alarm: float | None = None,
    colors: dict[str, str] | None = None,
) -> stat.Panel:
    """One big value: the last row of the query's only column.

    ``alarm``: green below it, red from there on. ``colors``: colours of words.
    """
    panel = _described(stat.Panel(), panel_id, title, description, place)
    panel.with_target(Query(sql, TABLE)).unit(unit).no_value("-")
    panel.graph_mode(shapes.BigValueGraphMode("none")).color_mode(shapes.BigValueColorMode("value"))
    panel.reduce_options(builders.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/"))
    panel.thresholds(thresholds(alarm))
    if colors is not None:
        panel.mappings(mappings(colors))
    return panel


def rows(
    panel_id: int,
    title: str,
    description: str,
    place: Place,
    sql: str,
    *,
    units: dict[str, str] | None = None,
    colors: dict[str, dict[str, str]] | None = None,
    links: dict[str, tuple[str, str]] | None = None,
) -> table.Panel:
    """A table of the query's columns, numbers as they are.

    By column: ``units``; ``colors`` of words; ``links`` as title and URL.
    """
    panel = _described(table.Panel(), panel_id, title, description, place)
    panel.with_target(Query(sql, TABLE)).show_header(True).unit("none")
    for name, unit in (units or {}).items():
        _override(panel, name, unit=unit)
    for name, words in (colors or {}).items():
        _override(panel, name, mappings=mappings(words))
        _override(panel, name, **{"custom.cellOptions": {"type": "color-text"}})
    for name, (tip, url) in (links or {}).items():
        _override(panel, name, links=[{"title": tip, "url": url, "targetBlank": False}])
    return panel


def lines(panel_id: int, title: str, description: str, place: Place, sql: str) -> logs.Panel:
    """Log lines of ``timestamp``, ``level``, ``body``, newest first."""
    panel = _described(logs.Panel(), panel_id, title, description, place)
    panel.with_target(Query(sql, LOGS)).show_time(True).wrap_log_message(True)
    panel.sort_order(shapes.LogsSortOrder("Descending"))
    return panel


def mappings(colors: dict[str, str]) -> list[models.ValueMapping]:
    """Words to colours."""
    options = {
        word: models.ValueMappingResult(color=color, index=index)
        for index, (word, color) in enumerate(colors.items())
    }
    return [models.ValueMap(options=options)]


def thresholds(alarm: float | None) -> dashboard.ThresholdsConfig:
    """Green below the alarm and red from there on; without one, the colour of text."""
    steps = [models.Threshold(value=None, color=GREY if alarm is None else GREEN)]
    if alarm is not None:
        steps.append(models.Threshold(value=alarm, color=RED))
    config = dashboard.ThresholdsConfig()
    config.mode(models.ThresholdsMode("absolute")).steps(steps)
    return config


def _property(name: str, value: object) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)


def _override(panel: table.Panel, column: str, **properties: object) -> None:
    panel.override_by_name(column, [_property(name, value) for name, value in properties.items()])


def new_dashboard(title: str, uid: str, description: str, since: str) -> dashboard.Dashboard:
    """An empty dashboard with what all of ours share."""
    board = dashboard.Dashboard(title)
    board.uid(uid).description(description).tags([TAG]).readonly().time(since, "now").refresh("5s")
    board.tooltip(models.DashboardCursorSync(1)).with_variable(datasource_variable())
    return board


def link_to(title: str, uid: str, *, keep_time: bool = False) -> dashboard.DashboardLink:
    """A link in the head of a dashboard."""
    link = dashboard.DashboardLink(title)
    link.type(models.DashboardLinkType("link")).url(f"/d/{uid}").keep_time(keep_time)
    return link
