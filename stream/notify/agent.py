"""The couriers of a loop worker: tasks beside its agents, which never wait for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from stream.faustkit.preflight import BrokerTraits
from stream.notify.config import Hook
from stream.notify.courier import Courier

log = logging.getLogger(__name__)


def attach(app: Any, kafka: str, hooks: Sequence[Hook]) -> None:
    """Add a task for each hook to a Faust app; it ends with the app."""
    traits = BrokerTraits(
        session_timeout_s=app.conf.broker_session_timeout, says_goodbye=app.transport.says_goodbye
    )
    for hook in hooks:
        courier = Courier(kafka, hook, traits)
        app.task(courier.run)
        log.info("web hook %s: %s to %s", hook.name, ", ".join(hook.events), hook.host)
