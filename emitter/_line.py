"""The state of the line to the endpoint: one warning when it breaks, one line when it is back."""

from __future__ import annotations

from emitter._guard import logger
from emitter._records import Fate, Outcome

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
WARN_EVERY_S = 600.0


class Line:
    """Decides when to try again and what to say; time is passed in (seconds, monotonic)."""

    def __init__(self, target: str, *, spooled: bool = False) -> None:
        """``spooled``: what cannot be delivered is kept on disk."""
        self.target = target
        self._spooled = spooled
        self._wait_s = FIRST_WAIT_S
        self._warn_at = self._remark_at = float("-inf")
        self.down = False
        self.retry_at = float("-inf")

    def note(self, outcome: Outcome, now: float) -> None:
        """Take in what became of a batch."""
        if outcome.fate is Fate.SENT:
            self._up()
            self._in_part(outcome, now)
            return
        if outcome.fate is Fate.RETRY:
            self.retry_at = now + max(self._wait_s, min(outcome.wait_s or 0.0, 60.0))
            self._wait_s = min(self._wait_s * 2, LONGEST_WAIT_S)
        self._warn(outcome, now)
        self.down = True

    def _up(self) -> None:
        if self.down:
            logger.info("telemetry flows again to %s", self.target)
        self.down, self._wait_s, self.retry_at = False, FIRST_WAIT_S, float("-inf")

    def _in_part(self, outcome: Outcome, now: float) -> None:
        """The receiver took the request, but not all of it, or has something to say about it."""
        if (outcome.refused or outcome.why) and now >= self._remark_at:
            self._remark_at = now + WARN_EVERY_S
            logger.warning(
                "%s refused %d records of a request (%s); they are counted as refused, training goes on",
                self.target, outcome.refused, outcome.why or "no reason given",
            )  # fmt: skip

    def _warn(self, outcome: Outcome, now: float) -> None:
        if self.down or now < self._warn_at:
            return
        self._warn_at = now + WARN_EVERY_S
        logger.warning(
            "cannot deliver telemetry to %s (%s); training goes on, what does not fit %s is lost and counted",
            self.target, outcome.why, "into the spool on disk" if self._spooled else "into the queue",
        )  # fmt: skip
