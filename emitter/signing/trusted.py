"""The file of trusted keys: one public key a line, ``ed25519 BASE64 NAME``; ``#`` begins a comment.

It is read anew for each message: commands are rare, and taking a line away is how a key is revoked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from emitter._guard import logger

KIND: Final = "ed25519"
KEY_BYTES: Final = 32
MOST_BYTES: Final = 1 << 20


class KeyLineError(ValueError):
    """A line is no public key; the message says what was expected and what came."""


class PublicKey(NamedTuple):
    """A public key as trusted_keys files hold it."""

    id: str
    raw: bytes
    name: str = ""

    def line(self) -> str:
        """The line of this key, without its end."""
        return f"{KIND} {base64.b64encode(self.raw).decode()} {self.name}".rstrip()


def key_id(raw: bytes) -> str:
    """The id of a public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(raw).hexdigest()[:16]


def public_key(raw: bytes, name: str = "") -> PublicKey:
    """The key with its id."""
    return PublicKey(key_id(raw), raw, name)


def parse_line(line: str) -> PublicKey | None:
    """The key of a line; None for a comment or nothing. Raises KeyLineError."""
    kind, _, rest = line.partition("#")[0].strip().partition(" ")
    if not kind:
        return None
    text, _, name = rest.strip().partition(" ")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if kind != KIND or len(raw) != KEY_BYTES:
        raise KeyLineError(
            f"expected `{KIND} BASE64 NAME` with a key of {KEY_BYTES} bytes, got {line[:80]!r}"
        )
    return public_key(raw, name.strip())


class TrustedKeys:
    """The keys that one file trusts at this moment; a file that is missing or empty trusts nobody."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._said: set[str] = set()

    def find(self, wanted: str) -> PublicKey | None:
        """The key with this id, if it is trusted."""
        return next((key for key in self.all() if key.id == wanted), None)

    def all(self) -> list[PublicKey]:
        """All keys of the file, in its order. What is wrong with it is logged once, and trusts nobody."""
        return list(self._keys(self._text()))

    def _text(self) -> str:
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                    self._say("anybody may write it, so it is not believed; `chmod o-w` it")
                    return ""
                return file.read(MOST_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            self._say(f"cannot be read ({error.strerror}), so nobody is trusted")
            return ""

    def _keys(self, text: str) -> Iterator[PublicKey]:
        for number, line in enumerate(text.splitlines(), 1):
            try:
                key = parse_line(line)
            except KeyLineError as error:
                self._say(f"line {number}: {error}; the line is ignored")
                continue
            if key is not None:
                yield key

    def _say(self, what: str) -> None:
        if what not in self._said and len(self._said) < 100:
            self._said.add(what)
            logger.warning("%s: %s", self.path, what)
