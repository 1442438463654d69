"""From a command to a command line: placeholders in words that a shell never sees."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from emitter.vocabulary.commands import Command

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+(?:\.[A-Za-z0-9_]+)?)\}")
# Nodes and runs are named by trainers: none of them may become an option or a path.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:@+-]{0,253}")
FIELDS: Final = ("node", "run", "attempt", "action", "command", "rule", "diagnosis")


class TemplateError(ValueError):
    """The template names something that there is not; the message says what there is."""


class ValueRefusedError(ValueError):
    """The command lacks a value that the template needs, or has one that is not safe to pass on.

    ``reason`` is that of the acknowledgement.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check(words: Sequence[str]) -> None:
    """Raises TemplateError for a placeholder that no command can fill."""
    for word in words:
        for name in _PLACEHOLDER.findall(word):
            if name not in FIELDS and not name.startswith("args."):
                known = ", ".join(f"{{{field}}}" for field in (*FIELDS, "args.NAME"))
                raise TemplateError(f'"{word}": expected a placeholder out of {known}, got {{{name}}}')


def fill(words: Sequence[str], command: Command) -> list[str]:
    """The command line for this command. Raises ValueRefusedError."""
    values: Mapping[str, Any] = {
        "node": command.target.node or command.args.get("node"),
        "run": command.run,
        "attempt": command.attempt,
        "action": command.action,
        "command": command.id,
        "rule": command.reason.rule,
        "diagnosis": command.reason.diagnosis,
        **{f"args.{name}": value for name, value in command.args.items()},
    }
    return [_PLACEHOLDER.sub(lambda found: _text(found[1], values.get(found[1])), word) for word in words]


def _text(name: str, value: Any) -> str:
    if value is None:
        raise ValueRefusedError(f"no_{name}", f"the command has no {name}")
    text = str(value)
    if not _PLAIN.fullmatch(text):
        raise ValueRefusedError(f"bad_{name}", f"{name} is not a plain name: {text[:80]!r}")
    return text
