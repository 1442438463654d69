"""Rows of a batch, and values that no column holds."""

from __future__ import annotations

import logging

import pytest

from stream.sink.rows import Rows
from tests.stream.sink.build import T0

SOURCE = ("otlp_logs", 0, 5)
WHO = ("run-1", 0, 0, "", "", T0)


def test_a_row_that_does_not_fit_is_refused_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The other rows of its table go in; the error names table and coordinates."""
    rows = Rows()
    for step in (1, 2**63, 3):
        rows.add("train_heartbeats", (*WHO, step, "train", None, "e", 1, *SOURCE))

    with caplog.at_level(logging.ERROR):
        stored = rows.arrow()["train_heartbeats"]

    assert stored["step"].to_pylist() == [1, 3]
    assert rows.bad == 1
    assert "a row of train_heartbeats ('otlp_logs', 0, 5): not stored in history: " in caplog.text


def test_a_step_that_does_not_fit_is_refused_with_its_numbers_alone() -> None:
    """The same for tables in which many numbers share one head."""
    rows = Rows()
    for step in (1, 2**63):
        rows.add_scalars("train_steps", (*WHO, step, "e", 1, *SOURCE), {"loss": 1.0, "grad_norm": 2.0})

    stored = rows.arrow()["train_steps"]

    assert (stored["name"].to_pylist(), stored["value"].to_pylist()) == (["loss", "grad_norm"], [1.0, 2.0])
    assert rows.bad == 2


def test_a_step_without_numbers_is_no_row() -> None:
    """A record of texts only leaves no table behind."""
    rows = Rows()
    rows.add_scalars("train_steps", (*WHO, 1, "e", 1, *SOURCE), {})

    assert rows.arrow() == {}
