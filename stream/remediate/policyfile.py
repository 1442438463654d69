"""The policy file: YAML, read at start, every mistake at once with its place and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from emitter.vocabulary import actions, cloudevents
from stream.remediate.settings import MODES, Breaker, Budget, RunMode, Settings, Silence
from stream.rulelang import tree
from stream.rulelang.errors import Problems, guess, one_of
from stream.rulelang.reader import Reader
from stream.rulelang.tree import List, Mapping, Node, Scalar, kind

T = TypeVar("T")

DURATIONS: Final = (
    "settle", "together", "answer", "lifetime", "finish", "restart", "escalate", "words", "lookback",
)  # fmt: skip
"""Keys of the file; each sets the field of the same name and ``_s``."""
MOST: Final = 1_000_000


class PolicyError(ValueError):
    """The policy file is wrong; the message holds every mistake, one a line."""


def load(path: Path, mode: str) -> Settings:
    """The policy in this file; ``mode`` holds where the file sets none. Raises PolicyError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PolicyError(f"{path}: expected a policy file, got: {reason}") from None
    return parse(text, str(path), mode)


def parse(text: str, name: str, mode: str) -> Settings:
    """The same of a text; ``name`` stands in messages. Raises PolicyError."""
    problems = Problems(name)
    settings = _settings(tree.parse(text, problems), problems, mode)
    if problems.errors:
        raise PolicyError("\n".join(str(error) for error in sorted(problems.errors)))
    return settings


def _settings(root: Node | None, problems: Problems, mode: str) -> Settings:
    if root is None or (isinstance(root, Scalar) and root.value is None):
        return Settings(mode=mode)
    if not isinstance(root, Mapping):
        problems.add(root.line, root.column, f"expected a mapping such as `mode: approve`, got {kind(root)}")
        return Settings(mode=mode)
    reader, known = Reader(root, problems, "the policy"), Settings()
    found: dict[str, Any] = {"mode": reader.choice("mode", MODES, mode)}
    for key in DURATIONS:
        found[f"{key}_s"] = _positive(reader, key, getattr(known, f"{key}_s"))
    found["sendings"] = _whole(reader, "sendings", known.sendings)
    breaker = reader.typed("breaker", Mapping, "a mapping such as {runs: 10, within: 5m}")
    if breaker is not None:
        found["breaker"] = _breaker(Reader(breaker, problems, "the breaker"))
    for key, what, read in (
        ("runs", "a mode of runs", _run_mode), ("budgets", "a budget", _budget),
        ("silences", "a silence", _silence),
    ):  # fmt: skip
        if key in root.values:
            found[key] = _each(reader, key, what, read)
    reader.finish()
    return Settings(**found)


def _each(reader: Reader, key: str, what: str, read: Callable[[Reader], T | None]) -> tuple[T, ...]:
    listed = reader.typed(key, List, "a list")
    found = []
    for node in listed.items if listed is not None else ():
        if not isinstance(node, Mapping):
            reader.fail(node, f"expected {what} as a mapping, got {kind(node)}")
            continue
        inner = Reader(node, reader.problems, what)
        one = read(inner)
        inner.finish()
        if one is not None:
            found.append(one)
    return tuple(found)


def _run_mode(reader: Reader) -> RunMode | None:
    run, mode = reader.text("run", required=True), reader.required("mode")
    chosen = reader.choice("mode", MODES, None)
    return RunMode(run.text, chosen) if run is not None and mode is not None and chosen is not None else None


def _budget(reader: Reader) -> Budget:
    names = reader.texts("actions")
    for node in names:
        if node.text not in actions.TABLE:
            known = actions.TABLE
            reader.fail(
                node, f'expected an action ({one_of(known)}), got "{node.text}"{guess(node.text, known)}'
            )
    reader.required("most")
    most = _whole(reader, "most", 1, least=0)
    reader.required("within")
    return Budget(most, _positive(reader, "within", 3600.0), tuple(node.text for node in names))


def _breaker(reader: Reader) -> Breaker:
    usual = Breaker()
    found = Breaker(_whole(reader, "runs", usual.runs), _positive(reader, "within", usual.within_s))
    reader.finish()
    return found


def _silence(reader: Reader) -> Silence | None:
    words = {key: reader.text(key, required=True) for key in ("id", "author", "ends")}
    about = {key: reader.text(key) for key in ("run", "rule", "comment")}
    ends = words["ends"]
    if any(node is None for node in words.values()) or ends is None:
        return None
    try:
        ends_ns = cloudevents.parse_rfc3339(ends.text)
    except ValueError:
        reader.fail(ends, f'expected `ends` to be a time such as 2026-01-31T18:00:00Z, got "{ends.text}"')
        return None
    said = {key: node.text for key, node in (words | about).items() if node is not None and key != "ends"}
    return Silence(ends_ns=ends_ns, **said)


def _positive(reader: Reader, key: str, default: float) -> float:
    seconds = reader.duration(key, default)
    node = reader.node.values.get(key)
    if node is not None and seconds <= 0:
        reader.fail(node, f"expected `{key}` to be longer than 0, got {kind(node)}")
    return seconds


def _whole(reader: Reader, key: str, default: int, least: int = 1) -> int:
    node = reader.get(key)
    if node is None:
        return default
    if isinstance(node, Scalar) and type(node.value) is int and least <= node.value <= MOST:
        return node.value
    reader.fail(node, f"expected `{key}` to be a whole number from {least} to {MOST:,}, got {kind(node)}")
    return default
