"""Looks at the keys: can workers sign, do trainers here trust them, can a person approve."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from emitter.signing import TrustedKeys, operators_path, trusted_keys_path
from emitter.vocabulary import stack as discovery
from stream.doctor.finding import Finding, error, ok, warning
from stream.keys import OPERATOR, WORKER, KeyFileError, NoKeyError, Signer

CHECK: Final = "keys"
_WHO: Final = {WORKER: ("workers", "trainers"), OPERATOR: ("operators", "workers")}


def look(stack: dict[str, Any] | None) -> list[Finding]:
    """The keys of the running local stack, else those of this user."""
    files = {
        WORKER: (stack or {}).get(discovery.TRUSTED_KEYS) or trusted_keys_path(),
        OPERATOR: (stack or {}).get(discovery.OPERATORS) or operators_path(),
    }
    return [_pair(role, Path(path)) for role, path in files.items()]


def _pair(role: str, trusted: Path) -> Finding:
    who, whom = _WHO[role]
    option = " --operator" if role == OPERATOR else ""
    try:
        signer = Signer.load(role=role, local=True)
    except NoKeyError:
        said = f"{who} have no private key here, so they cannot sign"
        return warning(CHECK, said, f"`trainwarden keys new{option}`, or run this where the key is")
    except KeyFileError as problem:
        return error(CHECK, str(problem), "mend the file, or make another key")
    if TrustedKeys(trusted).find(signer.key_id) is None:
        cure = f"add its public key to {trusted} wherever {whom} run (`trainwarden keys list` prints it)"
        return error(
            CHECK, f"{who} sign with {signer.key.name} ({signer.key_id}), which {trusted} does not hold", cure
        )
    return ok(
        CHECK, f"{who} sign with {signer.key.name} ({signer.key_id}), trusted by {whom} of this machine"
    )
