"""Builds the parts of a session from its settings. What is off or cannot be had is None."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emitter import _exporters, _probes, signing
from emitter._actions import Actions
from emitter._commands import Commander
from emitter._endpoints import first_host, is_loopback
from emitter._guard import guard, logger
from emitter._ranks import Identity
from emitter._settings import SPOOL_OFF, Settings
from emitter._surroundings import facts
from emitter.otlp import environment
from emitter.signing import TrustedKeys
from emitter.vocabulary import attributes, cloudevents, stack

if TYPE_CHECKING:
    from emitter._clock import Clock
    from emitter._queue import Queue
    from emitter._records import Exporter
    from emitter._session import Session
    from emitter.agreement.group import Group
    from emitter.http_commands.link import HttpLink
    from emitter.kafka.commands import KafkaLink
    from emitter.otlp.encoder import Encoder
    from emitter.probes.logs import Emit, LogsProbe
    from emitter.probes.sampler import Sampler
    from emitter.spool.backlog import Backlog
    from emitter.vocabulary.commands import Command


class Deadline:
    """Seconds left until a moment; never negative."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def __call__(self) -> float:
        return max(0.0, self._end - time.monotonic())


def exporter(settings: Settings, identity: Identity) -> Exporter | None:
    """What carries requests to the endpoint that is found."""
    return _exporters.build(settings, identity.emitter, f"{identity.run_name}-rank{identity.rank}")


def encoder(settings: Settings, identity: Identity, node: str) -> Encoder:
    """What turns records into requests that say who sends them."""
    from emitter.otlp.encoder import Encoder

    return Encoder(resource(settings, identity, node))


def backlog(
    settings: Settings, identity: Identity, queue: Queue, exporter: Exporter | None
) -> Backlog | None:
    """What keeps requests on disk that cannot be delivered; files need no such help."""
    if exporter is None or settings.spool == SPOOL_OFF or exporter.target.startswith("file:"):
        return None
    from emitter.spool.backlog import Backlog

    root = None if settings.spool is None else Path(settings.spool)
    return Backlog(root, exporter.target, identity.emitter, settings.spool_mb << 20, queue.lose)


def resource(settings: Settings, identity: Identity, node: str) -> dict[str, Any]:
    """Resource attributes of DESIGN 4."""
    given = environment.resource()
    found: dict[str, Any] = {
        **facts(),
        **given,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "trainwarden",
        attributes.SERVICE_NAME: settings.service_name or given.get(attributes.SERVICE_NAME) or settings.role,
        attributes.SERVICE_INSTANCE_ID: identity.emitter,
        attributes.HOST_NAME: node,
        attributes.PROCESS_PID: os.getpid(),
        attributes.RUN_ID: identity.run,
        attributes.RUN_NAME: identity.run_name,
        attributes.ATTEMPT: identity.attempt,
        attributes.RANK: identity.rank,
        attributes.LOCAL_RANK: identity.local_rank,
        attributes.WORLD_SIZE: identity.world_size,
        attributes.EMITTER_ID: identity.emitter,
        attributes.ROLE: settings.role,
    }
    if identity.launcher is not None:
        found[attributes.LAUNCHER] = identity.launcher
    if identity.node_rank is not None:
        found[attributes.NODE_RANK] = identity.node_rank
    if settings.aliases:
        found[attributes.ALIASES] = cloudevents.dumps(settings.aliases)
    return found


def commander(session: Session, handlers: dict[str, Any], tunables: dict[str, Any]) -> Commander:
    """Commands and what they do in this session."""

    def dump(command: Command) -> None:
        reason = command.reason.summary or "command"
        _probes.dump_stacks(session, reason, **{"command.id": command.id})

    actions = Actions(
        handlers, tunables, dump_stacks=dump if session.settings.stacks else None, pausing=session.pausing,
        now_s=lambda: session.clock.monotonic_ns() * 1e-9, arm=session.arm,
        supervised=session.settings.supervised,
    )  # fmt: skip
    made = Commander(
        session.identity, session.node, session.clock, actions, session.settings.allow, session.arm,
        trusted(session.settings),
    )  # fmt: skip
    actions.commander = made
    return made


def trusted(settings: Settings) -> TrustedKeys:
    """The keys that are obeyed: the setting, else those of a local stack, else the user's own file."""
    if settings.trusted_keys is not None:
        return TrustedKeys(Path(settings.trusted_keys).expanduser())
    if settings.commands is None and _local_kafka() is not None:
        place = (stack.read_stack() or {}).get(stack.TRUSTED_KEYS)
        if place:
            return TrustedKeys(place)
    return TrustedKeys(signing.trusted_keys_path())


def group(session: Session) -> Group | None:
    """What several ranks need to agree on commands; nothing for one rank."""
    identity, settings = session.identity, session.settings
    if identity.world_size < 2 or settings.store == "off":
        return None
    from emitter.agreement.group import Group
    from emitter.agreement.progress import Progress

    steps, commander = session.steps, session.commander
    made = Group(
        commander, identity, settings.store, arm=steps.arm, count=lambda: steps.count,
        progress=Progress(identity.rank, lambda: (steps.count, steps.at_ns), session.clock.monotonic_ns),
    )  # fmt: skip
    commander.group = made
    if identity.rank != 0:
        commander.send = made.send
    return made


def link(settings: Settings, identity: Identity, made: Commander) -> KafkaLink | HttpLink | None:
    """The line to Kafka or a gateway: argument, TRAINWARDEN_COMMANDS, a local stack; only rank 0 listens."""
    found = settings.commands or _local_kafka()
    if found is None or identity.rank != 0:
        return None
    line = (
        _over_http(found, made, identity) if found.startswith("http") else _over_kafka(found, made, identity)
    )
    if line is not None:
        made.send = line.send
        _warn_of_no_keys(made)
    return line


def _over_http(url: str, made: Commander, identity: Identity) -> HttpLink:
    from emitter.http_commands.link import HttpLink

    token = os.environ.get(stack.ENV_COMMANDS_TOKEN) or None
    return HttpLink(url, token, made, identity.run, identity.rank)


def _over_kafka(brokers: str, made: Commander, identity: Identity) -> KafkaLink | None:
    try:
        from emitter.kafka.commands import KafkaLink
        from emitter.kafka.settings import KafkaSettingError, resolve
    except ImportError as error:
        logger.warning(
            "commands are off: %s is not installed. Install it with `pip install 'trainwarden[kafka]'`; "
            "training and telemetry go on", error.name or error,
        )  # fmt: skip
        return None
    try:
        return KafkaLink(resolve({"brokers": brokers}), made, identity.run, identity.rank)
    except KafkaSettingError as error:
        logger.warning("%s; commands are off, training and telemetry go on", error)
        return None


def _warn_of_no_keys(made: Commander) -> None:
    keys = made.trusted
    if isinstance(keys, TrustedKeys) and not keys.all():
        logger.warning(
            "commands are read, but none will be obeyed: %s trusts no key. Put the line into it that "
            "`trainwarden keys new` printed where commands are signed; it takes effect at once", keys.path,
        )  # fmt: skip


def sampler(settings: Settings, identity: Identity, queue: Queue, clock: Clock) -> Sampler | None:
    """Resource samples; the first rank of a node speaks for the host."""
    if not settings.resources:
        return None
    from emitter.probes.sampler import Sampler

    with guard:
        pauses = None
        if settings.gc_pauses:
            from emitter.probes.gc_pauses import GcProbe

            pauses = GcProbe()
        return Sampler(queue, clock, settings.resources_s, host=identity.local_rank == 0, pauses=pauses)
    return None


def logs(settings: Settings, emit: Emit) -> LogsProbe | None:
    """Records of ``logging``."""
    from emitter.probes.logs import LogsProbe

    return LogsProbe(emit) if settings.logs else None


def _local_kafka() -> str | None:
    running = stack.read_stack()
    place = running and running["endpoints"].get("kafka")
    # A stack that was found rather than named may give orders on this machine only.
    return str(place) if place and is_loopback(first_host(str(place))) else None
