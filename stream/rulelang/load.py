"""Loading of packs: every mistake in every file at once, or the rule set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from stream.rulelang import tree
from stream.rulelang.errors import Problems, RuleError, RuleErrors, guess
from stream.rulelang.model import Pack, Rule, RuleSet
from stream.rulelang.order import causes_first
from stream.rulelang.reader import Reader
from stream.rulelang.rule_reader import read_rule
from stream.rulelang.tree import List, Mapping, kind

SUFFIXES: Final = (".yaml", ".yml")


def load_packs(paths: Sequence[Path]) -> RuleSet:
    """The rules of these files and folders (every .yaml in them). Raises RuleErrors with all mistakes."""
    errors: list[RuleError] = []
    packs: list[Pack] = []
    for path in _files(paths, errors):
        problems = Problems(str(path))
        pack = _load_file(path, problems)
        errors.extend(problems.errors)
        if pack is not None:
            packs.append(pack)
    errors.extend(_across(packs))
    if errors:
        raise RuleErrors(errors)
    return RuleSet(tuple(packs), causes_first([rule for pack in packs for rule in pack.rules]))


def load_text(text: str, path: Path) -> RuleSet:
    """The rules of one pack given as text; ``path`` names it in errors and places its runbooks."""
    problems = Problems(str(path))
    pack = _read_pack(text, path, problems)
    errors = [*problems.errors, *_across([pack] if pack else [])]
    if errors or pack is None:
        raise RuleErrors(errors)
    return RuleSet((pack,), causes_first(pack.rules))


def _files(paths: Sequence[Path], errors: list[RuleError]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(file for suffix in SUFFIXES for file in path.rglob(f"*{suffix}"))
        if not inside:
            errors.append(RuleError(str(path), 1, 1, "expected a folder with .yaml packs, found none in it"))
        found.update(dict.fromkeys(inside))
    return list(found)


def _load_file(path: Path, problems: Problems) -> Pack | None:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        problems.add(1, 1, f"expected a readable pack: {error.strerror}")
        return None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - (error.object.rfind(b"\n", 0, error.start) + 1) + 1
        problems.add(line, column, "expected UTF-8 text")
        return None
    return _read_pack(text, path, problems)


def _read_pack(text: str, path: Path, problems: Problems) -> Pack | None:
    node = tree.parse(text, problems)
    if node is None:
        return None
    if not isinstance(node, Mapping):
        problems.add(node.line, node.column, f"expected a pack (`pack:` and `rules:`), got {kind(node)}")
        return None
    reader = Reader(node, problems, "a pack")
    name = reader.identifier("pack")
    listed = reader.required("rules")
    reader.finish()
    if listed is not None and not isinstance(listed, List):
        problems.add(listed.line, listed.column, f"expected `rules` to be a list, got {kind(listed)}")
    items = listed.items if isinstance(listed, List) else ()
    rules = [read_rule(item, name or "?", path, problems) for item in items]
    return Pack(name or "?", str(path), tuple(rule for rule in rules if rule is not None))


def _across(packs: Iterable[Pack]) -> list[RuleError]:
    """Mistakes that show only when all rules are known: ids used twice, causes that do not exist, circles."""
    first: dict[str, Rule] = {}
    errors = []
    rules = [rule for pack in packs for rule in pack.rules]
    for rule in rules:
        known = first.setdefault(rule.id, rule)
        if known is not rule:
            errors.append(
                _error(rule, f'the id "{rule.id}" is there twice; first in {known.file}:{known.line}')
            )
    for rule in rules:
        unknown = [cause for cause in rule.inhibited_by if cause not in first]
        errors.extend(
            _error(rule, f'inhibited_by names no rule "{one}"{guess(one, first)}') for one in unknown
        )
    if not errors:
        ordered = {rule.id for rule in causes_first(rules)}
        errors.extend(
            _error(rule, "inhibited_by goes round in a circle") for rule in rules if rule.id not in ordered
        )
    return errors


def _error(rule: Rule, message: str) -> RuleError:
    return RuleError(rule.file, rule.line, rule.column, f'rule "{rule.id}": {message}')
