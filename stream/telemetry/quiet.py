"""Sends metrics to an endpoint that may be away: it says so once, and slows nothing down.

Nothing is kept for later: sums are cumulative, so the next collection says all that the lost one did.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

AWAY_S: Final = 60.0
"""Only who is away for so long is spoken of: parts start one after the other."""
LAST_S: Final = 0.5
"""What the last export may take: nobody waits for the metrics of a process that ends."""

log = logging.getLogger(__name__)

Make = Callable[[float | None], MetricExporter]
"""An exporter; with its timeout in seconds, None for that of the environment."""


class Quiet(MetricExporter):
    """The stock exporter, with its troubles told once."""

    def __init__(
        self,
        make: Make,
        where: str,
        away_s: float = AWAY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._where, self._away_s, self._now = make, where, away_s, now
        self._inner = make(None)
        # Called before the SDK's reader asks for them.
        super().__init__(self._inner._preferred_temporality, self._inner._preferred_aggregation)
        self._away_since: float | None = None
        self._said = self._last = False

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """As the stock exporter."""
        result = self._inner.export(metrics_data, timeout_millis, **kwargs)
        if not self._last:
            self._tell(result is MetricExportResult.SUCCESS)
        return result

    def _tell(self, arrived: bool) -> None:
        if arrived:
            if self._said:
                log.info("our own metrics reach %s again", self._where)
            self._away_since, self._said = None, False
            return
        now = self._now()
        self._away_since = now if self._away_since is None else self._away_since
        if not self._said and now - self._away_since >= self._away_s:
            self._said = True
            log.warning("our own metrics do not reach %s; nothing else waits for it", self._where)

    def hurry(self) -> None:
        """Break off what is under way; what comes now is the last."""
        self._last = True
        inner, self._inner = self._inner, self._make(LAST_S)
        inner.shutdown()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is held back."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close the connection."""
        self._inner.shutdown()
