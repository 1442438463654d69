"""Marks on curves: a line where a diagnosis began to fire, and where a command was sent."""

from __future__ import annotations

from dashboards.common import BLUE, RED
from dashboards.parts import RUN
from dashboards.query import Annotation


def of_run(panels: list[int], condition: str = RUN) -> list[Annotation]:
    """Diagnoses and commands of the chosen run, on these panels."""
    return [_diagnoses(panels, condition), _commands(panels, condition)]


def _diagnoses(panels: list[int], condition: str) -> Annotation:
    sql = f"""
        SELECT
            min(d.time) AS time, concat(any(d.rule), ': ', any(d.summary)) AS text, any(d.severity) AS tags,
            'Diagnosis' AS title
        FROM train_diagnoses AS d
        WHERE {condition} AND d.state = 'firing' AND $__timeFilter_ms(d.time)
        GROUP BY d.id
        ORDER BY time
        LIMIT 200
    """
    return Annotation("Diagnoses", RED, sql, panels)


def _commands(panels: list[int], condition: str) -> Annotation:
    sql = f"""
        SELECT
            min(c.issued) AS time, concat(any(c.action), ' ', any(c.args)) AS text, any(c.rule) AS tags,
            'Command' AS title
        FROM train_commands AS c
        WHERE {condition} AND $__timeFilter_ms(c.issued)
        GROUP BY c.id
        ORDER BY time
        LIMIT 200
    """
    return Annotation("Commands", BLUE, sql, panels)
