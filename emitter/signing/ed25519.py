"""Ed25519 (RFC 8032) by ``cryptography``, imported when first needed: 32-byte keys, 64-byte signatures."""

from __future__ import annotations


def is_signed(public: bytes, signature: bytes, payload: bytes) -> bool:
    """Whether this key signed exactly these bytes."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, payload)
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(private: bytes, payload: bytes) -> bytes:
    """The signature of these bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(private).sign(payload)


def generate() -> tuple[bytes, bytes]:
    """A new private key and its public key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = Ed25519PrivateKey.generate()
    return made.private_bytes_raw(), made.public_key().public_bytes_raw()
