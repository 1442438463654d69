"""What the packs' log rules make of a line that a probe writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import re2
import yaml

PACKS = Path(__file__).parents[3] / "rules"


def matching(line: str, *files: str) -> list[str]:
    """Ids of the rules of these files (``hardware/xid-lost``) whose patterns take the line."""
    return [
        rule["id"]
        for file in files
        for rule in yaml.safe_load((PACKS / f"{file}.yaml").read_text())["rules"]
        if _any(rule.get("match"), line) and not _any(rule.get("unless"), line)
    ]


def _any(patterns: list[str] | None, line: str) -> bool:
    return any(_search(pattern, line) for pattern in patterns or ())


def _search(pattern: str, line: str) -> Any:
    return re2.search(pattern, line)
