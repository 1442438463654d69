"""Says what a person decided, and prints what the arbiter made of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stream.cli.finding import Places, signer
from stream.cli.options import ERROR, FOUND, fail

if TYPE_CHECKING:
    from emitter.vocabulary.control import Control


def about_command(
    places: Places,
    identity: str,
    make: Callable[[str, str, str | None], Control],
    reason: str | None,
    key: Path | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Approve or reject the command of this id, if it waits for that."""
    from stream.ledger import words

    broker = places.broker
    command = words.check_held(places.about(identity), identity)
    say(broker, make(command, words.author(), reason), key, wait_s, as_json)


def say(broker: str, word: Control, key: Path | None, wait_s: float, as_json: bool) -> None:
    """Sign it, send it, and say what was decided; exit 1 where it was refused, 3 where nobody decided."""
    from stream.keys import OPERATOR
    from stream.ledger import words

    signs = signer(OPERATOR, key)
    answer = asyncio.run(words.say(broker, word, signs, wait_s))
    if as_json:
        typer.echo(json.dumps({"said": word.to_json(), "answer": answer}))
    elif answer is not None:
        typer.echo(_sentence(word, answer))
    elif wait_s:
        fail(
            f"no worker decided within {wait_s:g} s; the word is written down and counts once a loop worker"
            " runs (`trainwarden commands watch` shows it)",
            ERROR,
        )
    if answer is not None and answer["decision"] == "refused":
        raise typer.Exit(FOUND)


def _sentence(word: Control, answer: dict[str, str | None]) -> str:
    what, reason = answer["decision"], answer.get("reason")
    about = f"{answer.get('action')} {word.command} " if word.command else ""
    if what == "refused":
        return f"refused: {reason}{_cure(str(reason))}"
    said = {
        "approved": f"approved: {about}goes out to {answer.get('run_name') or answer.get('run')}",
        "rejected": f"rejected: {about}will not go out",
        "breaker_reset": "the circuit breaker is closed again",
        "mode_set": str(reason),
        "silence_began": f"silence {word.silence.id if word.silence else ''} until"
        f" {word.silence.ends if word.silence else ''}",
        "silence_ended": f"silence {word.silence.id if word.silence else ''} ended",
    }
    return said.get(str(what), f"{what}: {reason}")


def _cure(reason: str) -> str:
    if "unknown_key" in reason:
        return "; add your operator's public key (`trainwarden keys list`) to the workers' operators file"
    if "circuit breaker is open" in reason:
        return "; a person closes it with `trainwarden commands reset-breaker`"
    return ""
