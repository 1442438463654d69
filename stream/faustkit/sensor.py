"""A Faust sensor that keeps what Faust itself asks for and nothing else; what we show is on our own board.

Imports Faust: only for worker processes.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from faust.sensors.monitor import Monitor


class Quiet(Monitor):  # type: ignore[misc]  # Faust is untyped here
    """Faust's monitor counts every record several times over, in text keys."""

    def on_message_in(self, tp: Any, offset: int, message: Any) -> None:
        """Nothing."""

    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> None:
        """Faust warns of streams that stand still by this."""
        self.stream_inbound_time[tp] = monotonic()

    def on_stream_event_out(self, tp: Any, offset: int, stream: Any, event: Any, state: Any = None) -> None:
        """Nothing."""

    def on_message_out(self, tp: Any, offset: int, message: Any) -> None:
        """Nothing."""

    def track_tp_end_offset(self, tp: Any, offset: int) -> None:
        """Nothing: lag is measured by stream.faustkit.standing."""
