"""``trainwarden notify``: check a file of web hooks, and try them."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.options import ERROR, USAGE, fail

if TYPE_CHECKING:
    from stream.notify.config import Hook

app = typer.Typer(help="Web hooks: check their file, and try them.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file of web hooks.", show_default=False)]


@app.command()
def check(file: File) -> None:
    """Read the file as a worker would, with the secrets of the environment."""
    from stream.notify.config import load

    for hook in load(file, os.environ):
        count, seconds = hook.limit
        events = ", ".join(hook.events)
        typer.echo(f"{hook.name}: {hook.kind} to {hook.host}; {events}; at most {count} in {seconds:g} s")


@app.command("test")
def try_hooks(
    file: File,
    name: Annotated[
        str | None, typer.Option("--hook", help="Only this one; all by default.", show_default=False)
    ] = None,
) -> None:
    """Send a test message to each hook, once; exit 3 where one did not take it."""
    from stream.notify.config import load

    hooks = [hook for hook in load(file, os.environ) if name in (None, hook.name)]
    if not hooks:
        fail(f'{file}: no hook has the name "{name}"', USAGE)
    answers = {hook.name: asyncio.run(_try(hook)) for hook in hooks}
    for hook in hooks:
        typer.echo(f"{hook.name}: {answers[hook.name] or 'taken'}")
    if any(answers.values()):
        raise typer.Exit(ERROR)


async def _try(hook: Hook) -> str | None:
    """What went wrong, or None."""
    from emitter.vocabulary import cloudevents
    from stream.ledger.words import author
    from stream.notify.errors import UndeliveredError
    from stream.notify.notice import TEST, Notice
    from stream.notify.sender import Sender

    now = time.time_ns()
    notice = Notice(f"test/{now}", TEST, cloudevents.rfc3339(now), f"{author()} tries the hook {hook.name}")
    async with Sender(hook) as sender:
        try:
            await sender.once(notice)
        except UndeliveredError as error:
            return str(error)
    return None
