"""Makes, lists, rotates and revokes keys: a folder of private keys, and the files of those trusted."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emitter.signing import TrustedKeys, operators_path, places, trusted_keys_path
from emitter.vocabulary import cloudevents
from stream.keys import private, trust
from stream.keys.private import OPERATOR, REVOKED_SUFFIX, SUFFIX, WORKER, KeyFileError, NoKeyError, PrivateKey

KEYS_DIR: Final = "keys"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True)
class Listed:
    """One line of ``keys list``; ``made`` and ``path`` are None where only the public key is here."""

    id: str
    name: str
    role: str
    made: str | None
    trusted: bool
    revoked: bool
    path: Path | None


class KeyStore:
    """The keys below one folder; by default the user's configuration directory and the usual files."""

    def __init__(self, home: Path | None = None) -> None:
        self.private = (home or places.config_dir()) / KEYS_DIR
        self.files = {
            WORKER: home / places.TRUSTED_KEYS_FILE if home else trusted_keys_path(),
            OPERATOR: home / places.OPERATORS_FILE if home else operators_path(),
        }

    def new(self, name: str, role: str = WORKER) -> PrivateKey:
        """Make a key and trust it. Raises KeyFileError."""
        if not _NAME.fullmatch(name) or name.endswith((SUFFIX, REVOKED_SUFFIX)):
            raise KeyFileError(
                f"{name!r}: expected a name of letters, digits and any of . _ @ -, at most 64 of them"
            )
        key = private.write(self.private / f"{name}{SUFFIX}", role, cloudevents.rfc3339(time.time_ns()))
        trust.add(self.files[role], key.public)
        return key

    def newest(self, role: str = WORKER) -> PrivateKey:
        """The key of this role that was made last and is not revoked. Raises KeyFileError without one."""
        found = [key for key in self.keys() if key.role == role and not key.revoked]
        if not found:
            option = " --operator" if role == OPERATOR else ""
            raise NoKeyError(f"{self.private}: no {role}'s key; make one with `trainwarden keys new{option}`")
        return max(found, key=lambda key: (key.made, key.name))

    def keys(self) -> list[PrivateKey]:
        """All private keys here, by name, revoked ones too. Raises KeyFileError for one that is spoilt."""
        names = (SUFFIX, SUFFIX + REVOKED_SUFFIX)
        found = [private.read(path) for path in self.private.glob("*") if path.name.endswith(names)]
        return sorted(found, key=lambda key: key.name)

    def listed(self) -> list[Listed]:
        """Private keys, and public ones that are trusted without a private key here."""
        trusted = {role: TrustedKeys(path).all() for role, path in self.files.items()}
        ids = {role: {key.id for key in keys} for role, keys in trusted.items()}
        mine = [_listed(key, key.public.id in ids[key.role]) for key in self.keys()]
        known = {(one.role, one.id) for one in mine}
        others = [
            Listed(key.id, key.name, role, None, True, False, None)
            for role, keys in trusted.items()
            for key in keys
            if (role, key.id) not in known
        ]
        return mine + others

    def rotate(self, name: str | None = None, role: str = WORKER) -> tuple[PrivateKey, PrivateKey]:
        """A successor of a key, both trusted: the old and the new one. Raises KeyFileError."""
        old = self._private(name) if name else self.newest(role)
        if old.revoked:
            raise KeyFileError(f"{old.name}: this key is revoked; make another with `trainwarden keys new`")
        return old, self.new(self._successor(old.name), old.role)

    def revoke(self, name: str) -> list[Listed]:
        """Trust a key no longer, named by its name or id. Raises KeyFileError for one that is not known."""
        found = [one for one in self.listed() if name in (one.id, one.name)]
        if not found:
            raise KeyFileError(f"{name}: no such key; `trainwarden keys list` shows those that are known")
        for one in found:
            # All files: a key that is copied by hand may be trusted in another role, too.
            for path in self.files.values():
                trust.remove(path, one.id)
            if one.path is not None and not one.revoked:
                one.path.replace(one.path.with_name(one.path.name + REVOKED_SUFFIX))
        return found

    def _private(self, name: str) -> PrivateKey:
        for key in self.keys():
            if name in (key.name, key.public.id):
                return key
        raise KeyFileError(f"{name}: no such private key in {self.private}")

    def _successor(self, name: str) -> str:
        stem, _, number = name.rpartition("-")
        base, last = (stem, int(number)) if stem and number.isdecimal() else (name, 1)
        taken = {key.name for key in self.keys()}
        while f"{base}-{last + 1}" in taken:
            last += 1
        return f"{base}-{last + 1}"


def _listed(key: PrivateKey, trusted: bool) -> Listed:
    return Listed(key.public.id, key.name, key.role, key.made or None, trusted, key.revoked, key.path)
