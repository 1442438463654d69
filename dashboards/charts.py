"""Panels that compare many things at once: heatmaps of ranks over time, bars."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import barchart, bargauge, heatmap
from grafana_foundation_sdk.builders import common as builders
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import heatmap as colors

from dashboards.panels import described, thresholds
from dashboards.query import TABLE, TIME_SERIES, Query

CELLS: Final = 150
"""Cells of a heatmap in time, at most."""


def heat(panel_id: int, title: str, description: str, unit: str, sql: str) -> heatmap.Panel:
    """A heatmap: ``time`` to the right, one row for each ``series`` in order of name, ``value`` as colour."""
    panel = described(heatmap.Panel(), panel_id, title, description)
    panel.with_target(Query(sql, TIME_SERIES)).interval("1s").max_data_points(CELLS)
    panel.display_name("${__field.labels.series}").unit(unit)
    panel.calculate(False).rows_frame(heatmap.RowsHeatmapOptions().layout(shapes.HeatmapCellLayout("auto")))
    palette = (
        heatmap.HeatmapColorOptions().mode(colors.HeatmapColorMode("scheme")).scheme("Turbo").fill("blue")
    )
    panel.color(palette.steps(64).reverse(False).exponent(0.5).scale(colors.HeatmapColorScale("linear")))
    panel.cell_values(heatmap.CellValues().unit(unit)).cell_gap(0).show_legend()
    panel.tooltip(heatmap.HeatmapTooltip().mode(shapes.TooltipDisplayMode("single")).show_color_scale(True))
    panel.y_axis(heatmap.YAxisConfig().axis_placement(shapes.AxisPlacement("left")))
    return panel


def bars(
    panel_id: int, title: str, description: str, unit: str, sql: str, *, stacked: str = "none",
    alarm: float | None = None,
) -> barchart.Panel:  # fmt: skip
    """Bars lying on their side: the first column names them, each other column is a part of its length.

    ``stacked``: ``none``, ``normal`` or ``percent``.
    """
    panel = described(barchart.Panel(), panel_id, title, description)
    panel.with_target(Query(sql, TABLE)).unit(unit).thresholds(thresholds(alarm))
    panel.orientation(shapes.VizOrientation("horizontal")).stacking(shapes.StackingMode(stacked))
    panel.show_value(shapes.VisibilityMode("auto")).x_tick_label_max_length(24).group_width(0.8).bar_width(
        0.9
    )
    panel.fill_opacity(80).tooltip(builders.VizTooltipOptions().mode(shapes.TooltipDisplayMode("multi")))
    legend = builders.VizLegendOptions().show_legend(stacked != "none")
    legend.display_mode(shapes.LegendDisplayMode("list")).placement(shapes.LegendPlacement("bottom"))
    panel.legend(legend)
    return panel


def gauges(
    panel_id: int, title: str, description: str, unit: str, sql: str, *, most: float | None = None
) -> bargauge.Panel:
    """A bar for each row: the first column names it, the second is its length, of ``most``."""
    panel = described(bargauge.Panel(), panel_id, title, description)
    panel.with_target(Query(sql, TABLE)).unit(unit).thresholds(thresholds(None)).min(0)
    panel.orientation(shapes.VizOrientation("horizontal")).display_mode(shapes.BarGaugeDisplayMode("basic"))
    panel.reduce_options(builders.ReduceDataOptions().values(True).calcs([]).fields("")).no_value("-")
    return panel.max(most) if most is not None else panel
