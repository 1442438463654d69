"""Write docs/schemas/*.json and docs/asyncapi.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import yaml

from stream.schemas import asyncapi
from stream.schemas.messages import all_messages

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
VERSION: Final = "1"


def files() -> dict[str, str]:
    """Their contents by their names below docs."""
    found = {
        f"schemas/{message.name}.json": json.dumps(message.schema(), indent=2) + "\n"
        for message in all_messages()
    }
    text = yaml.safe_dump(asyncapi.document(VERSION), sort_keys=False, width=100)
    return {**found, "asyncapi.yaml": f"# Made by `python -m stream.schemas`.\n{text}"}


if __name__ == "__main__":
    (DOCS / "schemas").mkdir(exist_ok=True)
    for name, content in files().items():
        (DOCS / name).write_text(content, encoding="utf-8")
