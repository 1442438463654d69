"""Runbook pages: ``runbooks/<name>.md`` beside the pack.

The list under a page's heading "What to do" becomes the suggestions of a diagnosis.
"""

from __future__ import annotations

import re
from typing import Final

from stream.rulelang.context import Context
from stream.rulelang.reader import Reader

FOLDER: Final = "runbooks"
MAX_SUGGESTIONS: Final = 5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}\.md\Z")
_SECTION = re.compile(r"^## What to do\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^- (.+(?:\n  .+)*)", re.MULTILINE)


def read_runbook(reader: Reader, context: Context) -> tuple[str | None, tuple[str, ...]]:
    """The page's name and its suggestions; a page that is named must exist."""
    node = reader.text("runbook")
    if node is None:
        return None, ()
    if not _NAME.match(node.text):
        reader.fail(node, f'expected the name of a page such as "loss-spike.md", got "{node.text}"')
        return None, ()
    text = context.page(path_beside(context.file, node.text))
    if text is None:
        reader.fail(node, f"expected the page {FOLDER}/{node.text} beside the pack")
        return None, ()
    context.pages[node.text] = text
    return node.text, suggestions(text)


def path_beside(file: str, name: str) -> str:
    """Where the page of this name lies for a pack in this file."""
    folder = file.replace("\\", "/").rpartition("/")[0]
    return f"{folder}/{FOLDER}/{name}" if folder else f"{FOLDER}/{name}"


def suggestions(page: str) -> tuple[str, ...]:
    """The first items of the page's list under ``## What to do``."""
    section = _SECTION.search(page)
    items = _ITEM.findall(section[1]) if section else []
    return tuple(" ".join(item.split()) for item in items[:MAX_SUGGESTIONS])
