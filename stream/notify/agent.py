"""The couriers of a loop worker: tasks beside its agents, which never wait for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from stream.faustkit.preflight import BrokerTraits
from stream.notify.config import Hook
from stream.notify.courier import Courier
from stream.telemetry.board import Board, Key
from stream.telemetry.catalogue import NOTICES

log = logging.getLogger(__name__)


def attach(app: Any, kafka: str, hooks: Sequence[Hook], board: Board) -> None:
    """Add a task for each hook to a Faust app; it ends with the app."""
    couriers: list[Courier] = []

    def notices() -> dict[Key, float]:
        return {(one.hook.name, outcome): n for one in couriers for outcome, n in vars(one.counts).items()}

    board.read(NOTICES, notices)
    traits = BrokerTraits(
        session_timeout_s=app.conf.broker_session_timeout, says_goodbye=app.transport.says_goodbye
    )
    for hook in hooks:
        courier = Courier(kafka, hook, traits)
        couriers.append(courier)
        app.task(courier.run)
        log.info("web hook %s: %s to %s", hook.name, ", ".join(hook.events), hook.host)
