"""Looks at every part of an installation, and says for each what is wrong and how to mend it."""

from __future__ import annotations

from stream.doctor.examine import Places, examine
from stream.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Places", "Verdict", "examine"]
