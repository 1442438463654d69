"""Loading of packs: every mistake in every file at once, or the rule set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from stream.folders import files_below
from stream.rulelang import across, tree
from stream.rulelang.context import Context
from stream.rulelang.errors import Problems, RuleError, RuleErrors
from stream.rulelang.model import Pack, Rule, RuleSet
from stream.rulelang.order import causes_first
from stream.rulelang.overrides import ENVIRONMENT, Overrides, overrides
from stream.rulelang.reader import Reader
from stream.rulelang.rule_reader import read_rule
from stream.rulelang.runbooks import FOLDER
from stream.rulelang.tree import List, kind
from stream.rulelang.tree import Mapping as MappingNode

SUFFIXES: Final = (".yaml", ".yml")
MAX_RULES: Final = 10_000
"""The most rules in one file."""
_PAGE: Final = ".md"


def load_packs(paths: Sequence[Path], params: Mapping[str, float] | None = None) -> RuleSet:
    """The rules of these files and folders (every .yaml in them). Raises RuleErrors with all mistakes.

    ``params`` overrides params of rules: ``{"loss-spike.limit": 8.0}``, for some runs
    ``{"loss-spike.limit@rl-*": 8.0}``; they win over the environment's TRAINWARDEN_RULE_PARAMS.
    """
    errors: list[RuleError] = []
    texts = read_texts(paths, errors)
    return _load(texts, overrides(params, os.environ.get(ENVIRONMENT)), errors)


def load_texts(texts: Mapping[str, str], params: Mapping[str, float] | None = None) -> RuleSet:
    """The rules of packs in memory: path to text, of YAML files and the runbook pages beside them.

    Nothing else is read, so that the same texts make the same rules everywhere. Raises RuleErrors.
    """
    return _load(texts, overrides(params), [])


def load_text(text: str, path: Path) -> RuleSet:
    """The rules of one pack given as text; ``path`` names it in errors and places its runbooks."""

    def page(name: str) -> str | None:
        return _read(Path(name), [])

    return _load({str(path): text}, Overrides(), [], page)


def read_texts(paths: Sequence[Path], errors: list[RuleError]) -> dict[str, str]:
    """The texts of all packs in these files and folders, and of their pages: what ``load_texts`` takes."""
    found: dict[str, str] = {}
    folders: set[Path] = set()
    for path in paths:
        inside = [path]
        if path.is_dir():
            try:
                inside = sorted(file for file in files_below(path) if file.suffix in SUFFIXES)
            except OSError as error:
                errors.append(RuleError(str(path), 1, 1, f"cannot be read: {error.strerror}"))
                continue
        if not inside:
            errors.append(RuleError(str(path), 1, 1, "expected a folder with .yaml packs, found none in it"))
        for file in inside:
            text = _read(file, errors)
            if text is not None:
                found[str(file)] = text
                folders.add(file.parent / FOLDER)
    for folder in sorted(folders):
        _read_pages(folder, found)
    return found


def _read_pages(folder: Path, found: dict[str, str]) -> None:
    for page in sorted(folder.glob(f"*{_PAGE}")):
        text = None if str(page) in found else _read(page, [])
        if text is not None:
            found[str(page)] = text


def _read(path: Path, errors: list[RuleError]) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        errors.append(RuleError(str(path), 1, 1, f"expected a readable pack: {error.strerror}"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - (error.object.rfind(b"\n", 0, error.start) + 1) + 1
        errors.append(RuleError(str(path), line, column, "expected UTF-8 text"))
    except ValueError as error:
        errors.append(RuleError(str(path), 1, 1, f"expected the path of a pack: {error}"))
    return None


def _load(
    texts: Mapping[str, str],
    overriding: Overrides,
    errors: list[RuleError],
    page: Callable[[str], str | None] | None = None,
) -> RuleSet:
    contexts: list[Context] = []
    rules: list[Rule] = []
    for file, text in texts.items():
        if file.endswith(_PAGE):
            continue
        problems = Problems(file)
        context = Context(file, page or texts.get, overriding.of)
        rules.extend(_read_pack(text, context, problems))
        errors.extend(problems.errors)
        contexts.append(context)
    errors.extend(across.mistakes(contexts, rules))
    errors.extend(overriding.unknown(rules) if not errors else overriding.errors)
    if errors:
        raise RuleErrors(errors)
    return RuleSet(_packs(contexts, rules, texts), causes_first(rules), _digest_of(overriding))


def _read_pack(text: str, context: Context, problems: Problems) -> Iterable[Rule]:
    node = tree.parse(text, problems)
    if node is None:
        return ()
    if not isinstance(node, MappingNode):
        problems.add(node.line, node.column, f"expected a pack (`pack:` and `rules:`), got {kind(node)}")
        return ()
    reader = Reader(node, problems, "a pack")
    context.pack = reader.identifier("pack") or "?"
    listed = reader.required("rules")
    reader.finish()
    if listed is not None and not isinstance(listed, List):
        problems.add(listed.line, listed.column, f"expected `rules` to be a list, got {kind(listed)}")
    items = listed.items if isinstance(listed, List) else ()
    if len(items) > MAX_RULES and listed is not None:
        problems.add(listed.line, listed.column, f"expected at most {MAX_RULES:,} rules, got {len(items):,}")
        return ()
    read = [read_rule(item, context, problems) for item in items]
    return [rule for rule in read if rule is not None]


def _packs(contexts: Iterable[Context], rules: Iterable[Rule], texts: Mapping[str, str]) -> tuple[Pack, ...]:
    """Files that name the same pack are one pack."""
    files: dict[str, list[Context]] = {}
    for context in contexts:
        files.setdefault(context.pack, []).append(context)
    inside: dict[str, list[Rule]] = {}
    for rule in rules:
        inside.setdefault(rule.pack, []).append(rule)
    return tuple(
        Pack(name, tuple(one.file for one in found), tuple(inside.get(name, ())), _digest(found, texts))
        for name, found in files.items()
    )


def _digest(contexts: Iterable[Context], texts: Mapping[str, str]) -> str:
    """The hash of a pack's files and the pages they use, wherever they lie."""
    content = hashlib.blake2b(digest_size=16)
    for context in sorted(contexts, key=lambda one: texts[one.file]):
        for part in (texts[context.file], *(text for _, text in sorted(context.pages.items()))):
            content.update(f"{len(part)}:".encode() + part.encode(errors="replace"))
    return content.hexdigest()


def _digest_of(overriding: Overrides) -> str:
    return repr(sorted(overriding.values.items())) if overriding.values else ""
