"""Whether bytes were signed by a key that is trusted here: Ed25519 over the exact value of a message.

``trusted`` reads the file of public keys, ``checking`` checks, ``ed25519`` is the only file that needs
``cryptography``, and imports it when a signature is made or checked.
"""

from __future__ import annotations

from emitter.signing.checking import BAD_SIGNATURE, REASONS, UNKNOWN_KEY, UNSIGNED, SignatureError, verify
from emitter.signing.places import operators_path, trusted_keys_path
from emitter.signing.trusted import KeyLineError, PublicKey, TrustedKeys, key_id

__all__ = [
    "BAD_SIGNATURE", "REASONS", "UNKNOWN_KEY", "UNSIGNED", "KeyLineError", "PublicKey", "SignatureError",
    "TrustedKeys", "key_id", "operators_path", "trusted_keys_path", "verify",
]  # fmt: skip
