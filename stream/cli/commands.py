"""``trainwarden commands``: watch, send, approve, reject, why, the mode of runs, the breaker's reset."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated

import typer

from stream.cli import command_lines, words
from stream.cli.finding import Places, signer
from stream.cli.options import FOUND, USAGE, AsJson, ClickHouse, Kafka, fail

app = typer.Typer(help="Commands to trainers: watch, send, approve, reject, explain.", no_args_is_help=True)

RunOption = Annotated[
    str | None, typer.Option("--run", help="Only of this run (id or name).", show_default=False)
]
Key = Annotated[
    Path | None,
    typer.Option(
        help="Private key; by default the one of the environment, the stack, or yours.", show_default=False
    ),
]
Reason = Annotated[str | None, typer.Option(help="Why, for the ledger.", show_default=False)]
Wait = Annotated[float, typer.Option(help="Seconds to wait for an answer; 0 does not wait.", min=0)]


@app.command()
def watch(
    context: typer.Context, kafka: Kafka = None, run: RunOption = None, as_json: AsJson = False
) -> None:
    """Show commands, answers, decisions and people's words as they come, until Ctrl-C."""
    from stream.cli import watching

    watching.run(Places(context, kafka, None).broker, run, as_json)


@app.command()
def send(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="Id or name of the run.")],
    action: Annotated[str, typer.Argument(help="save, pause, resume, stop, restart, rollback, set, ...")],
    arg: Annotated[
        list[str] | None,
        typer.Option(
            "--arg", metavar="NAME=VALUE", help="Argument of the action; repeatable.", show_default=False
        ),
    ] = None,
    ranks: Annotated[
        str | None, typer.Option(help="Only these ranks, such as 0,2; all by default.", show_default=False)
    ] = None,
    node: Annotated[str | None, typer.Option(help="Only ranks on this host.", show_default=False)] = None,
    attempt: Annotated[
        int | None,
        typer.Option(help="Attempt it is for; the present one by default.", min=0, show_default=False),
    ] = None,
    expires: Annotated[str, typer.Option(metavar="DURATION", help="How long it is worth obeying.")] = "10m",
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for the answers; 0 does not wait.", min=0)
    ] = 60.0,
    reason: Reason = None,
    key: Key = None,
    kafka: Kafka = None,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Send a signed command to a run and print the answers.

    Exit codes: 0 every rank did it; 1 one refused or failed, or not all answered in time; 2 wrong usage;
    3 it could not be sent.
    """
    from stream.keys import WORKER
    from stream.ledger import sending
    from stream.ledger.runs import Known
    from stream.ledger.words import author

    arguments, wanted = command_lines.check(action, arg), command_lines.ranks_of(ranks)
    lifetime_s = command_lines.seconds("--expires", expires)
    signs, places = signer(WORKER, key), Places(context, kafka, clickhouse)
    broker = places.broker
    known = places.run(run) if attempt is None else Known(run, None, attempt)
    who = author()
    command = sending.command_for(
        known, action, arguments, ranks=wanted, node=node, lifetime_s=lifetime_s,
        why=f"sent by {who}: {reason}" if reason else f"sent by {who}",
    )  # fmt: skip
    if not as_json:
        typer.echo(f"command {command.id}: {action} for {known.name or known.id}, attempt {known.attempt}")
    asked = wanted or (() if node else known.ranks)
    if not timeout:
        asyncio.run(command_lines.only_send(broker, command, signs))
        return
    answers = asyncio.run(
        sending.send(broker, command, signs, asked, timeout, command_lines.printer(as_json))
    )
    if not answers.complete():
        command_lines.say_missing(answers, timeout, command)
    if not answers.succeeded:
        raise typer.Exit(FOUND)


Identity = Annotated[str, typer.Argument(metavar="ID", help="The command's id, or how it begins.")]


@app.command()
def approve(
    context: typer.Context,
    identity: Identity,
    reason: Reason = None,
    key: Key = None,
    wait: Wait = 15.0,
    kafka: Kafka = None,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Let a command that waits for approval go out; signed with your operator's key."""
    from stream.ledger.words import approve as word

    words.about_command(Places(context, kafka, clickhouse), identity, word, reason, key, wait, as_json)


@app.command()
def reject(
    context: typer.Context,
    identity: Identity,
    reason: Reason = None,
    key: Key = None,
    wait: Wait = 15.0,
    kafka: Kafka = None,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Never let a command that waits for approval go out; signed with your operator's key."""
    from stream.ledger.words import reject as word

    if not reason:
        fail("expected --reason TEXT: a rejection says why, for those who read the ledger", USAGE)
    words.about_command(Places(context, kafka, clickhouse), identity, word, reason, key, wait, as_json)


@app.command("reset-breaker")
def reset_breaker(
    context: typer.Context,
    reason: Reason = None,
    key: Key = None,
    wait: Wait = 15.0,
    kafka: Kafka = None,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Close the circuit breaker: remediation acts again; signed with your operator's key.

    It is for the trip that is on record now: one that comes after it stays.
    """
    from stream.keys import OPERATOR
    from stream.ledger import words as said

    signer(OPERATOR, key)  # that there is none is said before the ledger is read
    places = Places(context, kafka, clickhouse)
    trip = said.tripped(places.breaker())
    if trip is None:
        fail("the circuit breaker is not open", FOUND)
    words.say(places.broker, said.reset_breaker(said.author(), trip, reason), key, wait, as_json)


@app.command()
def mode(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="Id or name of the run; a pattern such as 'exp-*' for several.")],
    chosen: Annotated[
        str, typer.Argument(metavar="MODE", help="act, approve or shadow; default takes the word back.")
    ],
    lasts: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long; for good: in the policy file.")
    ] = "1d",
    reason: Reason = None,
    key: Key = None,
    wait: Wait = 15.0,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Let runs act no more freely than this, for a while; signed with your operator's key.

    The strictest holds of this, the policy, the rule and what the run asks for.
    """
    from emitter.vocabulary.control import MODES
    from stream.ledger import words as said

    if chosen not in (*MODES, "default"):
        fail(f'expected {", ".join(MODES)} or default, got "{chosen}"', USAGE)
    ends_ns = time.time_ns() + int(command_lines.seconds("--for", lasts) * 1e9)
    wanted = None if chosen == "default" else chosen
    word = said.run_mode(said.author(), run, wanted, ends_ns, reason)
    words.say(Places(context, kafka, None).broker, word, key, wait, as_json)


@app.command()
def why(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of a command, an incident or a diagnosis.")],
    kafka: Kafka = None,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Tell the whole story of an id: what was seen, by which rule, what was decided, sent and answered.

    It is read from ClickHouse; with --kafka, from the topics.
    """
    from stream.cli import story_page
    from stream.ledger import story

    found = story.tell(Places(context, kafka, clickhouse).about(identity), identity)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
        return
    story_page.show(found)
