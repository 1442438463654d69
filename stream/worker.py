"""A worker process: the only file that knows which stages there are and what runs beside what.

The loop and the history are separate apps in separate consumer groups, so that a slow or absent
ClickHouse never delays a diagnosis.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from stream import resources
from stream.diagnose import agent as diagnose
from stream.faustkit.consume import Host
from stream.faustkit.preflight import inspect
from stream.faustkit.runner import Job, run_job
from stream.faustkit.stuck import AFTER_S
from stream.ingest import agent as ingest
from stream.keys import NoKeyError, Signer
from stream.notify import agent as notify
from stream.notify import config as hooks
from stream.notify.config import Hook
from stream.remediate import agent as remediate
from stream.remediate import policyfile
from stream.remediate.decisions import Sign
from stream.remediate.settings import Settings
from stream.rulebook import agent as rulebook
from stream.rulebook import inforce
from stream.rulebook.bundle import Bundle, remember
from stream.rulebook.shelf import Shelf
from stream.sink import agent as sink
from stream.snapshots.files import FileShelf
from stream.snapshots.shelf import Shelf as SnapshotShelf
from stream.snapshots.topic import TopicShelf
from stream.telemetry.server import HOST

LOOP_ID: Final = "trainwarden-loop"
HISTORY_ID: Final = "trainwarden-history"
HISTORY_LEISURE_MS: Final = 200
"""Nobody waits for history as trainers wait for commands."""

log = logging.getLogger(__name__)

AppName = Literal["loop", "history"]
Mode = Literal["act", "approve", "shadow"]
Attach = Callable[[Any, Host], None]


class WorkerError(ValueError):
    """The worker was asked for something that does not go together; the message says what."""


def run(
    *,
    app: AppName,
    kafka: str,
    clickhouse: str | None,
    rules: Sequence[Path] | None,
    mode: Mode,
    health_port: int | None,
    data_dir: Path,
    notify: Path | None = None,
    policy: Path | None = None,
    health_host: str = HOST,
    stuck_after_s: float = AFTER_S,
) -> None:
    """Run one Faust app in this process until SIGTERM or SIGINT.

    ``rules`` are packs or folders of packs, by default the ones that ship; ``notify`` is a file of web
    hooks, ``policy`` one of remediation's policy, which may set another mode. Raises WorkerError, RuleErrors
    for rules that do not load, NotifyError for hooks, PolicyError, PreflightError for a broker or topics
    that are not right.
    """
    if app == "loop":
        shelf = Shelf(list(rules) if rules else [resources.path("rules")])
        settings = policyfile.load(policy, mode) if policy else Settings(mode=mode)
        loop = _Loop(kafka, shelf, settings, hooks.load(notify, os.environ) if notify else [], data_dir)
        job = Job(LOOP_ID, kafka, data_dir, loop.attach, health_port, loop.prepare)
    elif app == "history":
        job = Job(
            HISTORY_ID, kafka, data_dir, _history(clickhouse), health_port, leisure_ms=HISTORY_LEISURE_MS
        )
    else:
        raise WorkerError(f"app: expected loop or history, got {app!r}")
    run_job(replace(job, health_host=health_host, stuck_after_s=stuck_after_s))


class _Loop:
    """The stages of the loop. They begin with the rules in force; our own follow at a recorded offset."""

    def __init__(
        self, kafka: str, shelf: Shelf, settings: Settings, hooks: Sequence[Hook], data_dir: Path
    ) -> None:
        self._kafka, self._shelf, self._hooks, self._data_dir = kafka, shelf, hooks, data_dir
        self._in_force: Bundle | None = None
        self._compacts = True
        self._sign = _signing(settings.mode)
        self._policy = settings.signing(self._sign is not None)

    async def prepare(self, host: Host) -> None:
        self._compacts = (await inspect(self._kafka)).traits.compacts
        self._in_force = await inforce.read(self._kafka)
        await rulebook.publish(host, self._shelf.bundle, self._in_force)
        await remediate.announce(host, self._policy)

    def attach(self, app: Any, host: Host) -> None:
        rules, bundle = self._shelf.first(self._in_force)
        encoded = bundle.encode()
        remember(encoded, rules)
        ingest.attach(app, host)
        beside = remediate.attach(app, host, rules, self._policy, self._sign)
        diagnose.attach(app, host, rules, encoded, self._snapshots(host), [beside])
        rulebook.attach(app, host, self._shelf)
        notify.attach(app, self._kafka, self._hooks, host.board)

    def _snapshots(self, host: Host) -> SnapshotShelf:
        """Where any worker can read them; beside a broker that would keep them all in memory, on disk."""
        if self._compacts:
            return TopicShelf(self._kafka, host.outlet.send)
        return FileShelf(self._data_dir / "snapshots")


def _signing(mode: str) -> Sign | None:
    """What signs commands. Raises KeyFileError for a key that was named and cannot be used."""
    try:
        signer = Signer.load()
    except NoKeyError as error:
        if mode != "shadow":
            log.warning("trainers obey signed commands only, so none will be sent: %s", error)
        return None
    log.info("commands are signed with key %s (%s)", signer.key_id, signer.key.path)
    return signer.headers


def _history(clickhouse: str | None) -> Attach:
    if not clickhouse:
        raise WorkerError("app history: expected the URL of a ClickHouse, got none; pass --clickhouse URL")

    def attach(app: Any, host: Host) -> None:
        sink.attach(app, clickhouse=clickhouse, host=host)

    return attach
