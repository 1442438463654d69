"""The keys of a local stack: made once in its data directory, so that nobody has to think of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from emitter.signing.places import ENV_OPERATORS, ENV_TRUSTED_KEYS
from emitter.vocabulary import stack
from stream.keys import trust
from stream.keys.private import OPERATOR, WORKER, NoKeyError, PrivateKey
from stream.keys.signer import ENV_OPERATOR_KEY, ENV_SIGNING_KEY
from stream.keys.store import KeyStore

_NAMES: Final = {
    ENV_TRUSTED_KEYS: stack.TRUSTED_KEYS,
    ENV_OPERATORS: stack.OPERATORS,
    ENV_SIGNING_KEY: stack.SIGNING_KEY,
    ENV_OPERATOR_KEY: stack.OPERATOR_KEY,
}


def ensure(data_dir: Path) -> dict[str, str]:
    """Make what is missing; the variables by which workers, trainers and people find it.

    Raises KeyFileError where the directory cannot be written or a key there is spoilt.
    """
    store = KeyStore(data_dir)
    worker, operator = (_key(store, role) for role in (WORKER, OPERATOR))
    return {
        ENV_TRUSTED_KEYS: str(store.files[WORKER]),
        ENV_OPERATORS: str(store.files[OPERATOR]),
        ENV_SIGNING_KEY: str(worker.path),
        ENV_OPERATOR_KEY: str(operator.path),
    }


def by_name(variables: Mapping[str, str]) -> dict[str, str]:
    """The same files under their names in ``stack.json``."""
    return {_NAMES[variable]: path for variable, path in variables.items()}


def _key(store: KeyStore, role: str) -> PrivateKey:
    try:
        key = store.newest(role)
    except NoKeyError:
        return store.new(f"stack-{role}", role)
    # A file that is there may lack the key because somebody revoked it.
    if not store.files[role].exists():
        trust.add(store.files[role], key.public)
    return key
