"""What one look found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum


class Verdict(str, Enum):
    """From good to bad; ``skipped``: could not be looked at, for a reason that is no fault."""

    ok = "ok"
    skipped = "skipped"
    warning = "warning"
    error = "error"

    @property
    def bad(self) -> bool:
        """Whether somebody should do something."""
        return self in (Verdict.warning, Verdict.error)


@dataclass(frozen=True)
class Finding:
    """``check``: the part; ``said``: what was seen; ``cure``: what to do about it ("" where all is well)."""

    check: str
    verdict: Verdict
    said: str
    cure: str = ""

    def to_json(self) -> dict[str, str]:
        """Plain data."""
        return {**asdict(self), "verdict": self.verdict.value}


def ok(check: str, said: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.ok, said)


def skipped(check: str, said: str, cure: str = "") -> Finding:
    """Not looked at."""
    return Finding(check, Verdict.skipped, said, cure)


def warning(check: str, said: str, cure: str) -> Finding:
    """It works, and will bite."""
    return Finding(check, Verdict.warning, said, cure)


def error(check: str, said: str, cure: str) -> Finding:
    """It does not work."""
    return Finding(check, Verdict.error, said, cure)
