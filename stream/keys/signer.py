"""Signs messages with one private key."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Final

from emitter.signing import ed25519
from emitter.vocabulary import stack, topics
from stream.keys.private import OPERATOR, WORKER, KeyFileError, PrivateKey, read
from stream.keys.store import KeyStore

ENV_SIGNING_KEY: Final = "TRAINWARDEN_SIGNING_KEY"
"""File of the private key that signs commands."""
ENV_OPERATOR_KEY: Final = "TRAINWARDEN_OPERATOR_KEY"
"""File of the private key of the person who approves, rejects, silences and resets."""

_NAMES: Final = {
    WORKER: (ENV_SIGNING_KEY, stack.SIGNING_KEY),
    OPERATOR: (ENV_OPERATOR_KEY, stack.OPERATOR_KEY),
}


class Signer:
    """Makes the headers that go with a message."""

    def __init__(self, key: PrivateKey) -> None:
        self.key = key
        self.key_id = key.public.id

    @classmethod
    def load(cls, path: Path | None = None, *, role: str = WORKER, local: bool = False) -> Signer:
        """The key in ``path``, else of TRAINWARDEN_SIGNING_KEY (for operators TRAINWARDEN_OPERATOR_KEY),
        else, with ``local``, that of the running local stack, else the newest of this role in the user's
        configuration directory. Raises KeyFileError; NoKeyError where there is none.
        """
        variable, entry = _NAMES[role]
        named = path or os.environ.get(variable) or (_of_stack(entry) if local else None)
        key = read(Path(named)) if named else KeyStore().newest(role)
        if key.revoked:
            raise KeyFileError(f"{key.path}: this key is revoked; make another with `trainwarden keys new`")
        return cls(key)

    def headers(self, value: bytes) -> list[tuple[str, bytes]]:
        """Key id and signature of exactly these bytes."""
        signature = base64.b64encode(ed25519.sign(self.key.raw, value))
        return [(topics.HEADER_KEY_ID, self.key_id.encode()), (topics.HEADER_SIGNATURE, signature)]


def _of_stack(entry: str) -> str | None:
    running = stack.read_stack()
    return running.get(entry) if running else None
