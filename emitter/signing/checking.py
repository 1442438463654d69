"""The check of one message: its headers name a key and hold a signature of the value."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, Protocol

from emitter.signing.trusted import PublicKey
from emitter.vocabulary import topics

UNSIGNED: Final = "unsigned"
UNKNOWN_KEY: Final = "unknown_key"
BAD_SIGNATURE: Final = "bad_signature"
REASONS: Final = frozenset({UNSIGNED, UNKNOWN_KEY, BAD_SIGNATURE})


class SignatureError(ValueError):
    """The message is not believed. ``reason`` is that of the acknowledgement, ``detail`` goes with it."""

    def __init__(self, reason: str, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.reason = reason
        self.detail = {"error": message, **detail}


class Keys(Protocol):
    """Where trusted keys are looked up: ``TrustedKeys``, or what a test holds in its hands."""

    def find(self, wanted: str) -> PublicKey | None: ...


def verify(payload: bytes, headers: Mapping[str, bytes], trusted: Keys) -> str:
    """The id of the trusted key that signed exactly these bytes. Raises SignatureError."""
    named, signed = headers.get(topics.HEADER_KEY_ID), headers.get(topics.HEADER_SIGNATURE)
    if not named or not signed:
        raise SignatureError(
            UNSIGNED, f"expected the headers {topics.HEADER_KEY_ID} and {topics.HEADER_SIGNATURE}"
        )
    wanted = named[:64].decode("ascii", "replace")
    key = trusted.find(wanted)
    if key is None:
        place = str(getattr(trusted, "path", "")) or None
        raise SignatureError(
            UNKNOWN_KEY, "expected a key that is trusted here", key_id=wanted, trusted_keys=place
        )
    if not _is_signed(key, signed, payload):
        raise SignatureError(
            BAD_SIGNATURE, "the signature does not fit these bytes", key_id=wanted, key_name=key.name
        )
    return key.id


def _is_signed(key: PublicKey, signed: bytes, payload: bytes) -> bool:
    from emitter.signing import ed25519

    try:
        signature = base64.b64decode(signed, validate=True)
    except (binascii.Error, ValueError):
        return False
    return ed25519.is_signed(key.raw, signature, payload)
