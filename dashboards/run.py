"""The *Run* dashboard: one run's curves by time and by step, against another run, and what was found."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards import common, goodput, marks, run_curves, run_numbers, run_steps, run_tables, variables
from dashboards.common import RUN_UID
from dashboards.layout import Line, Section, curves, lay_out


def build() -> dashboard.Dashboard:
    """The dashboard."""
    board = common.new_dashboard(
        RUN_UID, "One run: curves by time and step, goodput, diagnoses, commands, logs.", since="now-1h"
    )
    for variable in (variables.run(), variables.compare(), variables.attempt(), variables.rank()):
        board.with_variable(variable)
    board.with_variable(variables.steps()).with_variable(goodput.source())
    sections = _sections()
    for annotation in marks.of_run(curves(sections)):
        board.annotation(annotation)
    lay_out(board, sections)
    return board


def _sections() -> list[Section]:
    return [
        Section("", [Line(3, run_numbers.panels(), (3, 2, 2, 3, 3, 3, 3, 2, 3))]),
        Section(
            "Learning",
            [
                Line(10, [run_curves.loss()]),
                Line(7, [run_curves.grad_norm(), run_curves.learning_rate(), run_curves.evaluation()]),
            ],
        ),
        Section(
            "By step, against another run",
            [
                Line(9, [run_steps.loss(), run_steps.evaluation()]),
                Line(7, [run_steps.grad_norm(), run_steps.learning_rate(), run_steps.step_time()]),
            ],
        ),
        Section("Where the time went", [Line(7, [goodput.by_attempt(), goodput.attempts()], (9, 15))]),
        Section(
            "What was found and done", [Line(6, [run_tables.diagnoses()]), Line(6, [run_tables.commands()])]
        ),
        Section(
            "Speed",
            [
                Line(7, [run_curves.step_time(), run_curves.parts(), run_curves.throughput()]),
                Line(7, [run_curves.cpu(), run_curves.memory(), run_curves.gpu(), run_curves.gpu_memory()]),
            ],
        ),
        Section(
            "Ranks and logs",
            [Line(10, [run_tables.ranks(), run_curves.heartbeats(), run_tables.log_lines()], (7, 6, 11))],
        ),
    ]
