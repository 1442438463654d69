"""What ``commands send`` reads from its line, and what it prints of the answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from emitter.vocabulary import actions
from stream.cli.options import USAGE, fail

if TYPE_CHECKING:
    from emitter.vocabulary.commands import Command
    from stream.keys import Signer
    from stream.ledger.book import Record
    from stream.ledger.sending import Answers

_COLORS = {"succeeded": "green", "failed": "red", "rejected": "red", "expired": "red", "aborted": "yellow"}


def check(action: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """The arguments of this action; every mistake ends the command."""
    from stream.rulelang.errors import guess, one_of

    if action not in actions.TABLE:
        near = guess(action, actions.TABLE)
        fail(f'expected an action out of {one_of(actions.TABLE)}, got "{action}"{near}', USAGE)
    if actions.TABLE[action].executors == (actions.STREAM,):
        fail(f"{action} is done by remediation itself, no trainer obeys it; see docs/notify.md", USAGE)
    return dict(map(_pair, pairs or ()))


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        fail(f'--arg: expected NAME=VALUE, got "{text}"', USAGE)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def ranks_of(text: str | None) -> list[int]:
    """``0,2`` as numbers; nothing for all."""
    if not text or text == "all":
        return []
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        fail(f'--ranks: expected numbers with commas, such as 0,2, got "{text}"', USAGE)
    return [int(part) for part in parts]


def seconds(option: str, text: str) -> float:
    """Seconds of a duration."""
    from stream.rulelang import durations

    found = durations.parse(text)
    if not found:
        fail(f'{option}: expected {durations.EXPECTED}, got "{text}"', USAGE)
    return found


def printer(as_json: bool) -> Callable[[Record], None]:
    """Prints one answer after the other."""

    def line(ack: Record) -> None:
        if as_json:
            typer.echo(json.dumps(ack))
            return
        who = ack["executor"] if ack["rank"] is None else f"rank {ack['rank']}"
        step = f"at step {ack['step']}" if ack.get("step") is not None else ""
        detail = json.dumps(ack["detail"]) if ack.get("detail") else ""
        state = (
            typer.style(f"{ack['state']:<9}", fg=_COLORS.get(ack["state"])) if sys.stdout.isatty() else None
        )
        parts = (f"  {who:<10}", state or f"{ack['state']:<9}", step, ack.get("reason") or "", detail)
        typer.echo(" ".join(filter(None, parts)).rstrip())

    return line


def say_missing(answers: Answers, timeout_s: float, command: Command) -> None:
    """Who has not answered, and what that means."""
    if not answers.last:
        who = "nobody has answered"
        cure = "; does the run still go on, and does it read commands (TRAINWARDEN_COMMANDS)?"
    else:
        ranks = ", ".join(map(str, answers.missing)) or "some"
        who, cure = f"rank {ranks} has not said how it ended", ""
    typer.echo(
        f"trainwarden: {who} within {timeout_s:g} s; the command stays valid until {command.expires}{cure}",
        err=True,
    )


async def only_send(kafka: str, command: Command, signer: Signer) -> None:
    """Send without hearing answers."""
    from stream.ledger import sending, topics

    await topics.write(kafka, sending.record(command, signer))
