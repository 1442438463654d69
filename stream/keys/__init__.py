"""The keys of this machine: private ones that sign, and the files of public ones that are trusted.

``signer`` signs messages, ``store`` makes, lists, rotates and revokes keys, ``private`` is their files.
"""

from __future__ import annotations

from stream.keys.private import OPERATOR, ROLES, WORKER, KeyFileError, NoKeyError, PrivateKey
from stream.keys.signer import ENV_OPERATOR_KEY, ENV_SIGNING_KEY, Signer
from stream.keys.store import KeyStore, Listed

__all__ = [
    "ENV_OPERATOR_KEY", "ENV_SIGNING_KEY", "OPERATOR", "ROLES", "WORKER", "KeyFileError", "KeyStore",
    "Listed", "NoKeyError", "PrivateKey", "Signer",
]  # fmt: skip
