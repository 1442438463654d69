"""Why a trainer refused a command, and what mends it."""

from __future__ import annotations

import re
from typing import Final

CURES: Final = {
    "clock_skew": "set the clocks of those machines (chrony, NTP)",
    "unknown_key": "put the workers' public key (`trainwarden keys list`) into the trainers' trusted_keys",
    "bad_signature": "somebody alters commands, or signs with another key under the same id",
    "unsigned": "the workers have no signing key: `trainwarden keys new`, TRAINWARDEN_SIGNING_KEY",
    "not_allowed": "TRAINWARDEN_ALLOW of the trainer leaves this action out; is that meant?",
    "unsupervised": "start the trainer with `trainwarden run`, so that somebody can restart it",
}


def cure(reason: str) -> str | None:
    """What mends the refusal that this text names, if it names one."""
    return next((CURES[word] for word in re.findall(r"\w+", reason) if word in CURES), None)
