"""The ``then`` of a rule: actions, their arguments and what each argument may be."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from typing import Any, Final

from emitter.vocabulary.commands import ACTIONS
from stream.rulelang import durations
from stream.rulelang.errors import Problems, guess, one_of
from stream.rulelang.model import Action
from stream.rulelang.reader import as_duration
from stream.rulelang.tree import List, Mapping, Node, Scalar, kind

IF_UNRESOLVED: Final = "if_unresolved"


def _positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < 1e9


def _word(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


@dataclass(frozen=True)
class Argument:
    """What an argument may be: the test, its words for a message, and the same as a JSON Schema."""

    fits: Callable[[Any], bool]
    wanted: str
    schema: MappingOf[str, Any]


_POSITIVE: Final = Argument(
    _positive, "a number above 0", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e9}
)
_NUMBER: Final = Argument(lambda value: type(value) in (int, float), "a number", {"type": "number"})
_WORD: Final = Argument(_word, "a text", {"type": "string", "minLength": 1, "maxLength": 200})
_KIND: Final = Argument(
    lambda value: value in ("regular", "forensic"), "regular or forensic", {"enum": ["regular", "forensic"]}
)

ARGUMENTS: Final[MappingOf[str, MappingOf[str, Argument]]] = {
    **{action: {} for action in ACTIONS},
    "save": {"kind": _KIND},
    "rollback": {"lr_scale": _POSITIVE},
    "set": {"parameter": _WORD, "scale": _POSITIVE, "value": _NUMBER},
    "profile": {"steps": _POSITIVE},
    "notify": {"message": _WORD},
}


def read_actions(node: Node | None, problems: Problems) -> tuple[Action, ...]:
    """The actions in order; every mistake is in ``problems``."""
    if node is None:
        return ()
    if not isinstance(node, List):
        problems.add(
            node.line, node.column, f"expected `then` to be a list such as `- save: {{}}`, got {kind(node)}"
        )
        return ()
    actions = [_action(item, problems) for item in node.items]
    return tuple(action for action in actions if action is not None)


def _action(node: Node, problems: Problems) -> Action | None:
    if not isinstance(node, Mapping) or len(node.values) != 1:
        problems.add(node.line, node.column, f"expected one action such as `save: {{}}`, got {kind(node)}")
        return None
    ((name, body),) = node.values.items()
    key = node.keys[name]
    if name not in ARGUMENTS:
        problems.add(
            key.line,
            key.column,
            f'expected an action ({one_of(ACTIONS)}), got "{name}"{guess(name, ACTIONS)}',
        )
        return None
    if isinstance(body, Scalar) and body.value is None:
        return Action(name)
    if not isinstance(body, Mapping):
        problems.add(
            body.line, body.column, f"expected the arguments of {name} as a mapping, got {kind(body)}"
        )
        return None
    return _with_arguments(name, body, problems)


def _with_arguments(name: str, body: Mapping, problems: Problems) -> Action:
    arguments: dict[str, Any] = {}
    wait: float | None = None
    for word, value in body.values.items():
        key = body.keys[word]
        if word == IF_UNRESOLVED:
            wait = as_duration(value)
            if wait is None:
                problems.add(value.line, value.column, f"expected {durations.EXPECTED}, got {kind(value)}")
        elif word not in ARGUMENTS[name]:
            known = {*ARGUMENTS[name], IF_UNRESOLVED}
            problems.add(key.line, key.column, f"{name} has no argument `{word}`{guess(word, known)}")
        else:
            argument = ARGUMENTS[name][word]
            if isinstance(value, Scalar) and argument.fits(value.value):
                arguments[word] = value.value
            else:
                wanted = f"expected `{word}` to be {argument.wanted}, got {kind(value)}"
                problems.add(value.line, value.column, wanted)
    _complete(name, body, arguments, problems)
    return Action(name, arguments, wait)


def _complete(name: str, body: Mapping, arguments: dict[str, Any], problems: Problems) -> None:
    if name == "set" and (
        "parameter" not in body.values or len(body.values.keys() & {"scale", "value"}) != 1
    ):
        problems.add(body.line, body.column, "set needs `parameter` and one of `scale` and `value`")
