"""Our kinds of panels: one function each, with the settings of the house.

Enumerations are made from their values: the SDK's members are typed only from Python 3.11 on.
"""

from __future__ import annotations

from typing import Final, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    dashboard,
    heatmap,
    logs,
    stat,
    table,
    text,
    timeseries,
    trend,
)  # fmt: skip
from grafana_foundation_sdk.builders import common as builders
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models

from dashboards.common import GREEN, GREY, RED
from dashboards.query import LOGS, TABLE, TIME_SERIES, Query

Panel: TypeAlias = (
    "timeseries.Panel | trend.Panel | heatmap.Panel | barchart.Panel | bargauge.Panel | stat.Panel"
    " | table.Panel | logs.Panel | text.Panel"
)
AnyPanel = TypeVar(
    "AnyPanel",
    timeseries.Panel, trend.Panel, heatmap.Panel, barchart.Panel, bargauge.Panel, stat.Panel, table.Panel,
    logs.Panel, text.Panel,
)  # fmt: skip
_Plotted = TypeVar("_Plotted", timeseries.Panel, trend.Panel)
Bounds: TypeAlias = "tuple[float | None, float | None]"
MOST_POINTS: Final = 1000


def described(panel: AnyPanel, panel_id: int, title: str, description: str) -> AnyPanel:
    """The panel with what each must have; its place is given by the layout."""
    panel.id(panel_id).title(title).description(description)
    return panel


def curve(
    panel_id: int, title: str, description: str, unit: str, sql: str, *, symlog: bool = False,
    bounds: Bounds = (None, None), alarm: float | None = None, stacked: bool = False, bars: bool = False,
) -> timeseries.Panel:  # fmt: skip
    """A line chart of ``time``, ``series``, ``value``; buckets down to 10 ms, at most 1000 of them.

    ``symlog``: linear between -1 and 1, logarithmic beyond, so that an explosion does not flatten the rest.
    ``bounds``: lower and upper end of the axis. ``alarm``: a red line at this value.
    """
    panel = described(timeseries.Panel(), panel_id, title, description)
    panel.with_target(Query(sql, TIME_SERIES)).display_name("${__field.labels.series}")
    panel.interval("10ms").max_data_points(100 if bars else MOST_POINTS)
    if bars:
        panel.draw_style(shapes.GraphDrawStyle("bars"))
    if stacked:
        panel.stacking(builders.StackingConfig().mode(shapes.StackingMode("normal")).group("A"))
    if alarm is not None:
        style = builders.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode("dashed"))
        panel.thresholds(thresholds(alarm)).thresholds_style(style)
    return _plotted(panel, unit, symlog, bounds, 70 if bars or stacked else 8)


def by_step(
    panel_id: int, title: str, description: str, unit: str, sql: str, *, symlog: bool = False,
    bounds: Bounds = (None, None),
) -> trend.Panel:  # fmt: skip
    """A line chart over ``step``, the query's first column; each other column is a line."""
    panel = described(trend.Panel(), panel_id, title, description)
    panel.with_target(Query(sql, TABLE)).x_field("step")
    return _plotted(panel, unit, symlog, bounds, 0)


def _plotted(panel: _Plotted, unit: str, symlog: bool, bounds: Bounds, fill: int) -> _Plotted:
    panel.unit(unit).line_width(1.5).fill_opacity(fill).span_nulls(False)
    panel.show_points(shapes.VisibilityMode("auto"))
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
    panel_id: int, title: str, description: str, unit: str, sql: str, *, alarm: float | None = None,
    colors: dict[str, str] | None = None, decimals: int | None = None,
) -> stat.Panel:  # fmt: skip
    """One big value: the last row of the query's only column.

    ``alarm``: green below it, red from there on. ``colors``: colours of words.
    """
    panel = described(stat.Panel(), panel_id, title, description)
    panel.with_target(Query(sql, TABLE)).unit(unit).no_value("-")
    panel.graph_mode(shapes.BigValueGraphMode("none")).color_mode(shapes.BigValueColorMode("value"))
    panel.reduce_options(builders.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/"))
    panel.thresholds(thresholds(alarm))
    if colors is not None:
        panel.mappings(mappings(colors))
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def rows(
    panel_id: int, title: str, description: str, sql: str, *, units: dict[str, str] | None = None,
    colors: dict[str, dict[str, str]] | None = None, links: dict[str, tuple[str, str]] | None = None,
) -> table.Panel:  # fmt: skip
    """A table of the query's columns, numbers as they are.

    By column: ``units``; ``colors`` of words; ``links`` as title and URL.
    """
    panel = described(table.Panel(), panel_id, title, description)
    panel.with_target(Query(sql, TABLE)).show_header(True).unit("none")
    for name, unit in (units or {}).items():
        _override(panel, name, unit=unit)
    for name, words in (colors or {}).items():
        _override(panel, name, mappings=mappings(words))
        _override(panel, name, **{"custom.cellOptions": {"type": "color-text"}})
    for name, (tip, url) in (links or {}).items():
        _override(panel, name, links=[{"title": tip, "url": url, "targetBlank": False}])
    return panel


def lines(panel_id: int, title: str, description: str, sql: str) -> logs.Panel:
    """Log lines of ``timestamp``, ``level``, ``body``, newest first."""
    panel = described(logs.Panel(), panel_id, title, description)
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


def _override(panel: table.Panel, column: str, **properties: object) -> None:
    values = [models.DynamicConfigValue(id_val=name, value=value) for name, value in properties.items()]
    panel.override_by_name(column, values)
