"""The line by which commands reach the supervisor: the emitter's own, for another reader."""

from __future__ import annotations

from typing import Protocol, cast

from emitter import _parts
from emitter._commands import Commander
from emitter._guard import logger
from emitter._settings import Settings
from emitter.vocabulary import actions, cloudevents, commands
from stream.supervise.orders import Orders


class Link(Protocol):
    """What carries commands here and acknowledgements back."""

    def start(self) -> None: ...
    def close(self, timeout_s: float) -> None: ...


def link(settings: Settings, orders: Orders) -> Link | None:
    """The line to Kafka: TRAINWARDEN_COMMANDS, or a local stack; None without either."""
    found = settings.commands or _parts._local_kafka()
    if found is None:
        return None
    try:
        from emitter.kafka.commands import KafkaLink
        from emitter.kafka.settings import KafkaSettingError, resolve
    except ImportError as error:
        logger.warning("commands are off: %s is not installed", error.name or error)
        return None

    class SupervisorLink(KafkaLink):
        """Learns what supervisors acknowledged, not what emitters did."""

        def _learn(self, payload: bytes) -> None:
            try:
                ack = commands.decode_ack(payload)
            except cloudevents.CloudEventError:
                return
            if ack.run == self._run_id and ack.executor == actions.SUPERVISOR:
                orders.recall(ack)

    try:
        line = SupervisorLink(resolve({"brokers": found}), cast(Commander, orders), orders.identity.run, 0)
    except KafkaSettingError as error:
        logger.warning("%s; commands are off", error)
        return None
    orders.send = line.send
    return line
