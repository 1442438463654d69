"""The page about web hooks: its example is read by the very code of the worker, its table names every key."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from stream.notify import config

PAGE = Path(__file__).parents[3] / "docs" / "notify.md"


def test_the_example_of_the_page_is_right(tmp_path: Path) -> None:
    """As it stands there, with its secret in the environment."""
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "hooks.yaml").write_text(example[1])
    hooks = config.load(tmp_path / "hooks.yaml", {"SLACK_URL": "https://hooks.example/x"})
    assert [hook.kind for hook in hooks] == ["slack", "alertmanager"]


def test_every_key_and_kind_is_on_the_page() -> None:
    """Nothing that can be set is left out."""
    page = PAGE.read_text()
    for name in (field.name.removesuffix("_s") for field in fields(config.Hook)):
        assert f"`{name}`" in page, name
    for kind in config.KINDS:
        assert f"`{kind}`" in page, kind
