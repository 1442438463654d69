"""Where the files of trusted keys are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ENV_TRUSTED_KEYS: Final = "TRAINWARDEN_TRUSTED_KEYS"
"""File of the public keys whose commands are obeyed here."""
ENV_OPERATORS: Final = "TRAINWARDEN_OPERATORS"
"""File of the public keys of people who may approve, reject, silence and reset."""

TRUSTED_KEYS_FILE: Final = "trusted_keys"
OPERATORS_FILE: Final = "operators"


def config_dir() -> Path:
    """The user's configuration directory (XDG) joined with ``trainwarden``."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "trainwarden"


def trusted_keys_path() -> Path:
    """TRAINWARDEN_TRUSTED_KEYS, else ``trusted_keys`` in the configuration directory."""
    explicit = os.environ.get(ENV_TRUSTED_KEYS)
    return Path(explicit) if explicit else config_dir() / TRUSTED_KEYS_FILE


def operators_path() -> Path:
    """TRAINWARDEN_OPERATORS, else ``operators`` in the configuration directory."""
    explicit = os.environ.get(ENV_OPERATORS)
    return Path(explicit) if explicit else config_dir() / OPERATORS_FILE
