"""What the history holds in all, asked for now and then beside the main thread."""

from __future__ import annotations

import threading
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from stream import history

PERIOD_S: Final = 2.0

_SQL: Final = """
SELECT
    (SELECT uniqExact(run) FROM train_runs),
    (SELECT count() FROM train_steps),
    (SELECT uniqExact(id) FROM train_diagnoses),
    (SELECT uniqExact(id) FROM train_commands)
"""


class Totals:
    """``str()`` of it is a line for people; it is as old as the last answer."""

    def __init__(self, clickhouse: str, period_s: float = PERIOD_S) -> None:
        self._clickhouse, self._period_s = clickhouse, period_s
        self._row: tuple[Any, ...] | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="totals", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()
        self._thread.join(PERIOD_S)

    def __str__(self) -> str:
        if self._row is None:
            return "history: no answer yet"
        runs, values, diagnoses, commands = self._row
        return f"history: {runs} runs, {values} values of steps, {diagnoses} diagnoses, {commands} commands"

    def _run(self) -> None:
        while not self._stopped.wait(self._period_s):
            try:
                with history.connect(self._clickhouse) as client:
                    self._row = tuple(client.query(_SQL).result_rows[0])
            except (ClickHouseError, OSError, history.HistoryError):
                self._row = None
