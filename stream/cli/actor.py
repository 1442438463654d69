"""``trainwarden actor``: runs a program of yours for commands that no trainer can obey."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated

import typer

from emitter.vocabulary import actions
from stream.cli.options import USAGE, Kafka, fail, kafka_of

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(context_settings={"allow_interspersed_args": False})(actor)


def actor(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="CMD...", help="Your program and its arguments; {node}, {run}, {args.NAME} are filled in."
        ),
    ],
    action: Annotated[
        list[str], typer.Option("--action", help="Action it is for; repeatable.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option(help="Its name in the ledger; the action by default.", show_default=False)
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option("--run", help="Only for runs like this (patterns as of a shell).", show_default=False),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds your program may take.", min=1)] = 300.0,
    trusted_keys: Annotated[
        Path | None,
        typer.Option(help="Keys whose commands are obeyed; your own file by default.", show_default=False),
    ] = None,
    kafka: Kafka = None,
) -> None:
    """Subscribe to commands, check their signatures, run your program for each, and acknowledge it.

    Example: trainwarden actor --action exclude_node -- scontrol update nodename={node} state=drain
    """
    from emitter.signing import TrustedKeys, trusted_keys_path
    from stream.actor import loop, template
    from stream.actor.duty import Task
    from stream.rulelang.errors import guess, one_of

    for one in action:
        if one not in actions.TABLE:
            fail(
                f'--action: expected one of {one_of(actions.TABLE)}, got "{one}"{guess(one, actions.TABLE)}',
                USAGE,
            )
    title = name or action[0].replace("_", "-")
    if not _NAME.fullmatch(title):
        fail(f'--name: expected letters, digits and any of . _ - in lower case, got "{title}"', USAGE)
    try:
        template.check(words)
    except template.TemplateError as error:
        fail(str(error), USAGE)
    trusted = TrustedKeys(trusted_keys or trusted_keys_path())
    if not trusted.all():
        fail(
            f"{trusted.path}: no key is trusted here, so no command would be obeyed; add the worker's"
            " public key (`trainwarden keys list`)"
        )
    task = Task(title, tuple(action), tuple(words), tuple(run or ("*",)), timeout)
    asyncio.run(loop.run(kafka_of(kafka), task, trusted))
