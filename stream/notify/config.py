"""The file of web hooks: read once at start, every mistake at once, each with its line.

``${NAME}`` anywhere in a text stands for the environment variable of that name.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from emitter.vocabulary import diagnoses
from stream.notify import notice as notices
from stream.notify.errors import ConfigError
from stream.notify.notice import Notice
from stream.rulelang import durations, tree
from stream.rulelang.errors import Problems, guess, one_of
from stream.rulelang.reader import Reader
from stream.rulelang.tree import List, Scalar, kind

ENV_FILE: Final = "TRAINWARDEN_NOTIFY"
KINDS: Final = ("json", "slack", "feishu", "lark", "alertmanager", "alertmanager-webhook")
_SIGNING: Final = ("json", "feishu", "lark")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LIMIT = re.compile(r"([0-9]{1,6})/(.+)")
DEFAULT_LIMIT: Final = (20, 60.0)


@dataclass(frozen=True)
class Hook:
    """One web hook. ``limit``: at most so many in so many seconds. Secrets stay out of ``repr``."""

    name: str
    kind: str
    url: str = field(repr=False)
    events: tuple[str, ...] = notices.USUAL
    severity: str | None = None
    rules: tuple[str, ...] = ("*",)
    runs: tuple[str, ...] = ("*",)
    limit: tuple[int, float] = DEFAULT_LIMIT
    secret: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 10.0
    give_up_s: float = 300.0
    max_age_s: float = 900.0
    ca: str | None = None

    @property
    def host(self) -> str:
        """For messages; the rest of the address is often the secret."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    def wants(self, notice: Notice) -> bool:
        """Whether this hook asked for it. What a notice does not say is not held against it."""
        known = notice.severity in diagnoses.SEVERITIES and self.severity is not None
        if notice.event not in self.events:
            return False
        if known and _rank(notice.severity) < _rank(self.severity):
            return False
        if notice.rule is not None and not _matches(self.rules, notice.rule):
            return False
        names = [name for name in (notice.run, notice.run_name) if name]
        return not names or any(_matches(self.runs, name) for name in names)


def _rank(severity: str | None) -> int:
    return diagnoses.SEVERITIES.index(str(severity))


def _matches(globs: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def load(path: Path, environment: Mapping[str, str]) -> list[Hook]:
    """The hooks of this file. Raises ConfigError with every mistake, one a line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: expected a file of web hooks, got: {reason}") from None
    problems = Problems(str(path))
    hooks = _Hooks(problems, environment).read(tree.parse(text, problems))
    if problems.errors:
        raise ConfigError("\n".join(str(error) for error in sorted(problems.errors)))
    return hooks


class _Hooks:
    """Reads the tree; mistakes go to ``problems``."""

    def __init__(self, problems: Problems, environment: Mapping[str, str]) -> None:
        self._problems, self._environment = problems, environment

    def read(self, root: tree.Node | None) -> list[Hook]:
        if root is None:
            return []
        if not isinstance(root, tree.Mapping):
            self._problems.add(root.line, root.column, f"expected a mapping with `hooks`, got {kind(root)}")
            return []
        reader = Reader(root, self._problems, "the file")
        listed = reader.typed("hooks", List, "a list of hooks")
        if listed is None and "hooks" not in root.values:
            reader.required("hooks")
        reader.finish()
        found = [hook for item in (listed.items if listed else ()) if (hook := self._hook(item)) is not None]
        self._unique(found, listed)
        return found

    def _unique(self, hooks: list[Hook], listed: List | None) -> None:
        names = [hook.name for hook in hooks]
        for name in {name for name in names if names.count(name) > 1}:
            assert listed is not None
            self._problems.add(listed.line, listed.column, f'two hooks have the name "{name}"')

    def _hook(self, node: tree.Node) -> Hook | None:
        if not isinstance(node, tree.Mapping):
            self._problems.add(node.line, node.column, f"expected a hook as a mapping, got {kind(node)}")
            return None
        before = len(self._problems.errors)
        reader = Reader(node, self._problems, "a hook")
        name = reader.identifier("name")
        reader.required("kind")
        form = reader.choice("kind", KINDS, "json")
        hook = Hook(
            name=name or "",
            kind=str(form),
            url=self._url(reader),
            events=self._events(reader),
            severity=reader.choice("severity", diagnoses.SEVERITIES, None),
            rules=self._globs(reader, "rules"),
            runs=self._globs(reader, "runs"),
            limit=self._limit(reader),
            secret=self._secret(reader, str(form)),
            headers=self._headers(reader),
            timeout_s=reader.duration("timeout", Hook.timeout_s),
            give_up_s=reader.duration("give_up", Hook.give_up_s),
            max_age_s=reader.duration("max_age", Hook.max_age_s),
            ca=self._ca(reader),
        )
        reader.finish()
        return hook if len(self._problems.errors) == before else None

    def _filled(self, reader: Reader, node: Scalar) -> str:
        """The text with its variables replaced."""

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if not self._environment.get(name):
                known = [key for key in self._environment if key]
                reader.fail(
                    node,
                    f"expected the environment variable {name} to be set, it is not{guess(name, known)}",
                )
            return self._environment.get(name, "")

        return _VARIABLE.sub(value, node.text)

    def _url(self, reader: Reader) -> str:
        node = reader.text("url", required=True)
        if node is None:
            return ""
        before = len(self._problems.errors)
        url = self._filled(reader, node)
        if len(self._problems.errors) == before and not _is_url(url):
            # What the variable holds may be a secret: it is not shown.
            shown = f'"{node.text}"' if node.text == url else f"another text from {node.text}"
            reader.fail(node, f"expected `url` to be http(s)://HOST[:PORT]/..., got {shown}")
        return url

    def _events(self, reader: Reader) -> tuple[str, ...]:
        nodes = reader.texts("events")
        for node in nodes:
            if node.text not in notices.EVENTS:
                message = f'expected `events` out of {one_of(notices.EVENTS)}, got "{node.text}"'
                reader.fail(node, message + guess(node.text, notices.EVENTS))
        return tuple(node.text for node in nodes) or notices.USUAL

    def _globs(self, reader: Reader, key: str) -> tuple[str, ...]:
        return tuple(node.text for node in reader.texts(key)) or ("*",)

    def _limit(self, reader: Reader) -> tuple[int, float]:
        node = reader.text("limit")
        if node is None:
            return DEFAULT_LIMIT
        found = _LIMIT.fullmatch(node.text)
        seconds = durations.parse(found[2]) if found else None
        if not found or not seconds or int(found[1]) < 1:
            reader.fail(node, f'expected `limit` such as "20/1m" (at most 20 in a minute), got "{node.text}"')
            return DEFAULT_LIMIT
        return int(found[1]), seconds

    def _secret(self, reader: Reader, form: str) -> str | None:
        node = reader.text("secret")
        if node is None:
            return None
        if form not in _SIGNING:
            reader.fail(node, f"a hook of kind {form} has no `secret`; only {', '.join(_SIGNING)} sign")
        return self._filled(reader, node)

    def _headers(self, reader: Reader) -> dict[str, str]:
        node = reader.typed("headers", tree.Mapping, "a mapping")
        found = {}
        for name, value in (node.values if node else {}).items():
            if isinstance(value, Scalar) and isinstance(value.value, str):
                found[name] = self._filled(reader, value)
            else:
                reader.fail(value, f"expected the header `{name}` to be a text, got {kind(value)}")
        return found

    def _ca(self, reader: Reader) -> str | None:
        node = reader.text("ca")
        if node is None:
            return None
        path = self._filled(reader, node)
        try:
            ssl.create_default_context(cafile=path)
        except (OSError, ssl.SSLError) as error:
            reader.fail(node, f"expected `ca` to be a file of certificates (PEM), got {path}: {error}")
        return path


def _is_url(url: str) -> bool:
    try:
        parts: Any = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
