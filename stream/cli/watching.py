"""``commands watch``: one line for each command, answer, decision and word, as it comes."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from stream.ledger.book import Record, command_id
from stream.ledger.topics import Feed

_STYLES: Final = {
    "succeeded": "green", "approved": "green", "failed": "bold red", "rejected": "red", "refused": "red",
    "expired": "red",
    "held": "bold yellow", "breaker_tripped": "bold red", "notified": "cyan", "sent": "bold",
}  # fmt: skip
_TOPICS: Final = ("remediation.intents", "remediation.commands", "remediation.acks", "remediation.control")


def run(kafka: str, only: str | None, as_json: bool) -> None:
    """Until Ctrl-C or SIGTERM. Raises UnreachableError."""
    console = Console(soft_wrap=True, highlight=False)

    def seen(kind: str, data: Record) -> None:
        if only is not None and only not in (data.get("run"), data.get("run_name")):
            return
        if as_json:
            print(json.dumps({"kind": kind, **data}), flush=True)  # noqa: T201 - results go to stdout
        else:
            for line in lines(kind, data):
                console.print(line)

    asyncio.run(_follow(kafka, seen, None if as_json else console))


async def _follow(kafka: str, seen: Any, console: Console | None) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Feed(kafka, _TOPICS, past=False) as feed:
        if console is not None:
            Console(stderr=True).print(f"watching {kafka}; Ctrl-C ends", style="dim")
        while not stopped.is_set():
            await feed.more(seen)


def lines(kind: str, data: Record) -> Iterator[Text]:
    """What is shown of a record; nothing of what another record says better."""
    if kind == "command":
        yield _line(data["issued"], data["run"], "command", f"{data['action']} {data['id']}", _args(data))
    elif kind == "ack":
        who = data["executor"] if data["rank"] is None else f"rank {data['rank']}"
        step = f"step {data['step']}" if data.get("step") is not None else None
        yield _line(data["time"], data["run"], data["state"], data["command"], who, step, data.get("reason"))
    elif kind == "decision":
        what = " ".join(filter(None, (data.get("action"), command_id(data) or data.get("incident"))))
        yield _line(
            data["time"], data.get("run_name") or data["run"] or "-", data["decision"], what,
            data.get("rule"), data.get("author"), data.get("reason"),
        )  # fmt: skip
        if data["decision"] == "held":
            yield Text(f"{'':15}trainwarden commands approve {command_id(data)}", style="yellow")
    elif kind == "word":
        yield _line(
            data["time"], "-", data["kind"], data.get("command") or "", data["author"], data.get("reason")
        )


def _line(time: str, run: str, state: str, *what: str | None) -> Text:
    text = Text(f"{time[11:23]}  ", style="dim")
    text.append(f"{run:<20.20}  ", style="default")
    text.append(f"{state:<10}  ", style=_STYLES.get(state, "default"))
    text.append("  ".join(filter(None, what)), style="default")
    return text


def _args(command: Record) -> str | None:
    args = {name: value for name, value in (command.get("args") or {}).items() if value is not None}
    return json.dumps(args) if args else None
