"""Runbook pages: ``runbooks/<name>.md`` beside the pack.

The list under a page's heading "What to do" becomes the suggestions of a diagnosis.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from stream.rulelang.reader import Reader

FOLDER: Final = "runbooks"
MAX_SUGGESTIONS: Final = 5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}\.md\Z")
_SECTION = re.compile(r"^## What to do\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^- (.+(?:\n  .+)*)", re.MULTILINE)


def read_runbook(reader: Reader, pack: Path) -> tuple[str | None, tuple[str, ...]]:
    """The page's name and its suggestions; a page that is named must exist."""
    node = reader.text("runbook")
    if node is None:
        return None, ()
    page = pack.parent / FOLDER / node.text
    if not _NAME.match(node.text):
        reader.fail(node, f'expected the name of a page such as "loss-spike.md", got "{node.text}"')
        return None, ()
    try:
        text = page.read_text()
    except (OSError, UnicodeDecodeError):
        reader.fail(node, f"expected the page {FOLDER}/{node.text} beside the pack")
        return None, ()
    return node.text, suggestions(text)


def suggestions(page: str) -> tuple[str, ...]:
    """The first items of the page's list under ``## What to do``."""
    section = _SECTION.search(page)
    items = _ITEM.findall(section[1]) if section else []
    return tuple(" ".join(item.split()) for item in items[:MAX_SUGGESTIONS])
