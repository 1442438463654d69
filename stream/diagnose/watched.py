"""Puts on the board what the rules do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from stream.diagnose.inbox import Inbox
from stream.diagnose.tally import Tally
from stream.faustkit.consume import Handle
from stream.records import Incoming, Outgoing, Ticks
from stream.telemetry import catalogue
from stream.telemetry.board import Board, Key

_NOT_LEFT_OUT: Final = ("events", "repeated_batches", "runs_expired")
TICK, BATCH = ("tick",), ("batch",)


def watch(inbox: Inbox, board: Board, stage: str) -> tuple[Handle, Callable[[int], None]]:
    """The inbox' handler, timed; and whom to tell that a partition goes on from what was found."""
    tally, times = Tally(inbox), board.times(catalogue.RULES_TIME)

    def event(record: Incoming) -> list[Outgoing]:
        began = time.perf_counter()
        made = inbox.event(record)
        times.add(TICK if isinstance(made, Ticks) else BATCH, time.perf_counter() - began)
        return made

    def left_out() -> dict[Key, float]:
        return {(name,): n for name, n in tally.totals().items() if name not in _NOT_LEFT_OUT}

    board.read(catalogue.STAGE_EVENTS, lambda: {(stage,): tally.totals().get("events", 0)})
    board.read(catalogue.LEFT_OUT, left_out)
    board.number(catalogue.REPEATED, lambda: tally.totals().get("repeated_batches", 0))
    board.number(catalogue.EXPIRED, lambda: tally.totals().get("runs_expired", 0))
    board.read(catalogue.RULES_BEHIND, lambda: tally.behind_s(time.time_ns()))
    board.number(catalogue.RUNS, tally.runs)
    return event, tally.begin
