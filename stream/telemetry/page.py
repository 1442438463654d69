"""The table of all metrics in docs/health.md. ``python -m stream.telemetry.page`` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stream.telemetry.catalogue import METRICS, Metric

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "health.md"
BEGIN: Final = "<!-- metrics: written by `python -m stream.telemetry.page` -->"
END: Final = "<!-- end of metrics -->"


def table() -> str:
    """A row for each metric."""
    lines = ["| metric | kind | unit | by | of | says |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, METRICS)])


def written(text: str) -> str:
    """The page with the table as it is now. Raises ValueError without the two marks."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"expected the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def _row(metric: Metric) -> str:
    by = ", ".join(f"`{name}`" for name in metric.attributes)
    return (
        f"| `{metric.name}` | {metric.kind.value} | {metric.unit} | {by} | {', '.join(metric.parts)} | "
        f"{metric.meaning} |"
    )


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
