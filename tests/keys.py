"""Keys of tests: a pair in memory that signs, and those that are held to be trusted."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

from emitter.signing import PublicKey, ed25519
from emitter.signing.trusted import public_key
from emitter.vocabulary import topics


class Pair:
    """A key pair; ``headers`` are what goes with a message."""

    def __init__(self, name: str = "test") -> None:
        self.private, raw = ed25519.generate()
        self.public = public_key(raw, name)

    def headers(self, payload: bytes) -> dict[str, bytes]:
        """Key id and signature of exactly these bytes."""
        signature = base64.b64encode(ed25519.sign(self.private, payload))
        return {topics.HEADER_KEY_ID: self.public.id.encode(), topics.HEADER_SIGNATURE: signature}

    def trust(self, path: Path) -> Path:
        """Write the file that trusts this key and no other."""
        path.write_text(self.public.line() + "\n")
        return path


SENDER: Final = Pair("tests")
"""Whom the trainers of these tests obey."""


class Held:
    """Trusted keys that are in no file."""

    def __init__(self, *pairs: Pair) -> None:
        self._keys = {pair.public.id: pair.public for pair in pairs}

    def find(self, wanted: str) -> PublicKey | None:
        return self._keys.get(wanted)
