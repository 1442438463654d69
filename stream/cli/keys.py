"""Keys: make them, see who is trusted, replace them, revoke them."""

from __future__ import annotations

import getpass
import json
import re
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from stream.cli.options import USAGE, AsJson, DataDir, fail

if TYPE_CHECKING:
    from stream.keys import KeyStore, Listed, PrivateKey

app = typer.Typer(name="keys", help="Keys that sign commands and words of people.", no_args_is_help=True)

Operator = Annotated[
    bool, typer.Option("--operator", help="A person's key: approves, rejects, silences and resets.")
]
Local = Annotated[bool, typer.Option("--stack", help="The keys of the local stack in --data-dir.")]

_WHERE: Final = {
    "worker": (
        "Put this line into the file of trusted keys on every machine that trains\n"
        "(TRAINWARDEN_TRUSTED_KEYS, else ~/.config/trainwarden/trusted_keys); it takes effect at once:"
    ),
    "operator": (
        "Put this line into the file of operators of every loop worker\n"
        "(TRAINWARDEN_OPERATORS, else ~/.config/trainwarden/operators); it takes effect at once:"
    ),
}


@app.command()
def new(
    name: Annotated[str | None, typer.Argument(help="Its name; by default yours and this machine's.")] = None,
    operator: Operator = False,
    stack: Local = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and trust it on this machine; prints the line by which others trust it."""
    from stream.keys import OPERATOR, WORKER

    role = OPERATOR if operator else WORKER
    key = _store(stack, data_dir).new(name or _own_name(role), role)
    if as_json:
        typer.echo(json.dumps(_shown(key)))
        return
    _say(f"made {key.path} (mode 0600), key id {key.public.id}")
    _say(_WHERE[key.role])
    typer.echo(key.public.line())


@app.command("list")
def listing(stack: Local = False, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """The keys of this machine, and those of others that are trusted here."""
    store = _store(stack, data_dir)
    found = store.listed()
    if as_json:
        typer.echo(json.dumps([{**asdict(one), "path": _text(one.path)} for one in found]))
        return
    _table(found)
    for role, path in store.files.items():
        _say(f"{role}s are trusted by {path}{'' if path.exists() else ', which does not exist: nobody is'}")


@app.command()
def rotate(
    name: Annotated[str | None, typer.Argument(help="Name or id; by default the newest key.")] = None,
    operator: Operator = False,
    stack: Local = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make the successor of a key; both are trusted until the old one is revoked."""
    from stream.keys import OPERATOR, WORKER

    old, successor = _store(stack, data_dir).rotate(name, OPERATOR if operator else WORKER)
    if as_json:
        typer.echo(json.dumps({"old": _shown(old), "new": _shown(successor)}))
        return
    _say(f"made {successor.path} (mode 0600), key id {successor.public.id}")
    _say(f"1. {_WHERE[successor.role]}")
    typer.echo(successor.public.line())
    _say(_then(successor))
    _say(f"3. When nobody signs with the old key any more: trainwarden keys revoke {old.name}")
    _say("   and take its line out of the files on the other machines, too:")
    _say(f"   {old.public.line()}")


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name or id.")],
    stack: Local = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Trust a key no longer: what it signs is refused from now on, here."""
    store = _store(stack, data_dir)
    found = store.revoke(name)
    if as_json:
        typer.echo(json.dumps([one.id for one in found]))
        return
    for one in found:
        _say(f"revoked {one.name} ({one.id}): no file here trusts it any more, from the next message on")
        _say(f"take its line out of {store.files[one.role].name} on the other machines, too")


def _then(key: PrivateKey) -> str:
    if key.role == "operator":
        return "2. Approvals on this machine are signed with the new key from now on."
    return (
        "2. When it stands everywhere, restart the workers: without TRAINWARDEN_SIGNING_KEY they take the\n"
        "   newest key of their machine, else name the new one there."
    )


def _store(stack: bool, data_dir: Any) -> KeyStore:
    from emitter.vocabulary import stack as discovery
    from stream.keys import KeyStore

    if data_dir is not None and not stack:
        fail("--data-dir is for the keys of a local stack: give --stack, too", USAGE)
    return KeyStore((data_dir or discovery.data_dir()) if stack else None)


def _own_name(role: str) -> str:
    who = getpass.getuser() if role == "operator" else "worker"
    return re.sub(r"[^A-Za-z0-9._@-]", "-", f"{who}@{socket.gethostname()}")[:64]


def _shown(key: PrivateKey) -> dict[str, Any]:
    return {
        "id": key.public.id, "name": key.name, "role": key.role, "made": key.made, "path": str(key.path),
        "line": key.public.line(),
    }  # fmt: skip


def _table(found: list[Listed]) -> None:
    table = Table("id", "name", "role", "made", "trusted", "private key", box=None, pad_edge=False)
    for one in found:
        state = "[dim]revoked[/]" if one.revoked else "[green]yes[/]" if one.trusted else "[red]no[/]"
        table.add_row(
            one.id, one.name, one.role, (one.made or "")[:19], state, _text(one.path) or "elsewhere"
        )
    Console(highlight=False, soft_wrap=True).print(table)


def _text(path: Any) -> str | None:
    return None if path is None else str(path)


def _say(line: str) -> None:
    typer.echo(line, err=True)
