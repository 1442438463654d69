"""Files of private keys: PKCS #8 in PEM that nobody else may read; a line above says what the key is for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from emitter.signing.trusted import PublicKey, public_key

WORKER: Final = "worker"
"""Signs commands; its public key goes into ``trusted_keys`` of the trainers."""
OPERATOR: Final = "operator"
"""A person's, for approvals, rejections, silences and resets; its public key goes into ``operators``."""
ROLES: Final = (WORKER, OPERATOR)

SUFFIX: Final = ".pem"
REVOKED_SUFFIX: Final = ".revoked"
_NOT_IN_YOURS: Final = 0o077
_NOT_IN_ROOTS: Final = 0o037
"""What the mode must not allow. A group may read root's file: so Kubernetes mounts a Secret for a user."""
_HEAD = re.compile(r"\ATrainwarden key: role (\w+), made (\S+)\n")


class KeyFileError(ValueError):
    """A key cannot be used or made; the message says which file, what was expected and what helps."""


class NoKeyError(KeyFileError):
    """There is no key of the kind that is needed."""


@dataclass(frozen=True)
class PrivateKey:
    """One private key and what its file says of it. ``made`` is RFC 3339, empty where it does not say."""

    path: Path
    role: str
    made: str
    public: PublicKey
    revoked: bool = False
    raw: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """The file's name without its endings."""
        return self.public.name


def write(path: Path, role: str, made: str) -> PrivateKey:
    """A new key in a new file. Raises KeyFileError where the file exists or cannot be written."""
    secret = Ed25519PrivateKey.generate()
    pem = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    text = f"Trainwarden key: role {role}, made {made}\n".encode() + pem
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise KeyFileError(f"{path}: a key of this name exists; choose another name") from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from None
    return read(path)


def read(path: Path) -> PrivateKey:
    """The key in a file; plain PKCS #8 will do. Raises KeyFileError."""
    try:
        content = path.read_bytes()
        status = path.stat()
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}") from None
    if status.st_mode & (_NOT_IN_ROOTS if status.st_uid == 0 else _NOT_IN_YOURS):
        raise KeyFileError(f"{path}: others may read or write this private key; `chmod 600` it")
    raw = _secret(path, content)
    head = _HEAD.match(content.decode("utf-8", "replace"))
    role, made = head.groups() if head else (WORKER, "")
    revoked = path.name.endswith(REVOKED_SUFFIX)
    name = path.name.removesuffix(REVOKED_SUFFIX).removesuffix(SUFFIX)
    public = Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    return PrivateKey(path, role, made, public_key(public, name), revoked, raw)


def _secret(path: Path, content: bytes) -> bytes:
    try:
        found = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path}: expected a private key in PEM without a password: {error}") from None
    if not isinstance(found, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: expected an Ed25519 key, got {type(found).__name__.strip('_')}")
    return found.private_bytes_raw()
