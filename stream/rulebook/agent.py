"""Publishes what changes in the rule files of this worker."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from stream.faustkit.consume import Host
from stream.rulebook import inforce
from stream.rulebook.bundle import Bundle, BundleError
from stream.rulebook.shelf import Shelf

LOOK_EVERY_S: Final = 1.0

log = logging.getLogger(__name__)


def attach(app: Any, host: Host, shelf: Shelf) -> None:
    """Add the task that publishes every change of the shelf to a Faust app."""

    async def watch() -> None:
        before = shelf.bundle
        while not app.should_stop:
            await asyncio.sleep(LOOK_EVERY_S)
            changed = await asyncio.to_thread(shelf.look)
            if changed is not None:
                await publish(host, changed, before)
                before = changed

    app.task(watch)


async def publish(host: Host, bundle: Bundle, before: Bundle | None) -> None:
    """Put this bundle into force, unless it is: for every worker, from here on in each partition."""
    if before is not None and before.digest == bundle.digest:
        return
    try:
        switches, packs = inforce.records(bundle, before, host.outlet.partitions)
    except BundleError as error:
        log.error("the rules of other workers stay as they are: %s", error)
        return
    # One after the other: who dies between them publishes again; the other way round nobody would.
    await host.outlet.send(switches)
    await host.outlet.send(packs)
    log.info("rules %s are published", bundle.digest)
