"""A bundle: the texts of all packs and their runbook pages, which fully determine a rule set.

Names are relative to the folder the texts came from, so that two workers with the same files in
different places hold the same bundle. The digest is over names, texts and params.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from stream.rulelang import RuleError, RuleErrors, RuleSet, load_texts, read_texts
from stream.rulelang.overrides import ENVIRONMENT, Overrides, overrides

MAX_BYTES: Final = 16_000_000
"""Texts of one bundle, unpacked."""
_REMEMBERED: Final = 4
_loaded: dict[bytes, RuleSet] = {}
"""The rule sets of the last encoded bundles, oldest first."""


class BundleError(ValueError):
    """These bytes are no bundle; the message says why."""


@dataclass(frozen=True)
class Bundle:
    """``texts`` maps a relative name to its text; ``params`` are overrides (``rule.param``)."""

    texts: Mapping[str, str]
    params: Mapping[str, float] = field(default_factory=dict)

    @functools.cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over everything inside."""
        content = json.dumps([sorted(self.texts.items()), sorted(self.params.items())])
        return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    def load(self) -> RuleSet:
        """The rule set. Raises RuleErrors."""
        return load_texts(self.texts, params=self.params)

    def encode(self) -> bytes:
        """Compressed bytes for the wire."""
        return zlib.compress(msgspec.json.encode({"texts": self.texts, "params": self.params}))


def decode(payload: bytes) -> Bundle:
    """The bundle in these bytes. Raises BundleError."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(payload, MAX_BYTES)
        if unpacker.unconsumed_tail:
            raise BundleError(f"rules: expected at most {MAX_BYTES:,} bytes of texts")
        return msgspec.json.decode(content, type=Bundle)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise BundleError(f"rules: not a bundle: {error}") from None


def loaded(payload: bytes) -> RuleSet:
    """The rule set of an encoded bundle, loaded once a process. Raises BundleError, RuleErrors."""
    rules = _loaded.pop(payload, None) or decode(payload).load()
    remember(payload, rules)
    return rules


def remember(payload: bytes, rules: RuleSet) -> None:
    """Say what ``loaded`` is to give for these bytes: who loaded them from files need not load them again."""
    _loaded[payload] = rules
    while len(_loaded) > _REMEMBERED:
        del _loaded[next(iter(_loaded))]


def read(paths: Sequence[Path], params: Mapping[str, float] | None = None) -> Bundle:
    """The bundle of these files and folders, with the environment's params. Raises RuleErrors."""
    errors: list[RuleError] = []
    texts: dict[str, str] = {}
    for number, path in enumerate(paths):
        top = path if path.is_dir() else path.parent
        prefix = f"{number}/" if len(paths) > 1 else ""
        for name, text in read_texts([path], errors).items():
            texts[prefix + Path(name).relative_to(top).as_posix()] = text
    if errors:
        raise RuleErrors(errors)
    return Bundle(texts, _flat(overrides(params, os.environ.get(ENVIRONMENT))))


def _flat(overriding: Overrides) -> dict[str, float]:
    """As ``load_texts`` takes them: the environment of one worker holds for all."""
    return {
        f"{rule}.{param}" + (f"@{pattern}" if pattern else ""): value
        for rule, params in overriding.values.items()
        for param, patterns in params.items()
        for pattern, value in patterns.items()
    }
