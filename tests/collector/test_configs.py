"""The configurations of deploy/collector, as they are, in the Collector that its manifest makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.collector.otelcol import FOLDER, Config, program

pytestmark = [pytest.mark.collector, pytest.mark.slow]


def _validate(*configs: Path) -> subprocess.CompletedProcess[str]:
    command = [program(), "validate", *(f"--config=file:{config}" for config in configs)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "files",
    [("config.yaml",), ("config.yaml", "persistent-queue.yaml"), ("archive.yaml",)],
    ids=" and ".join,
)
def test_configurations_are_valid(files: tuple[str, ...]) -> None:
    """`validate` has nothing against them, and nothing in them is deprecated."""
    done = _validate(*(FOLDER / name for name in files))

    assert (done.returncode, done.stderr) == (0, "")


def test_all_configurations_are_tested() -> None:
    """A new file of the folder is a new line above."""
    assert {path.name for path in FOLDER.glob("*.yaml")} == {
        "config.yaml", "persistent-queue.yaml", "archive.yaml", "builder.yaml",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"exporters": {"kafka": {"brokerz": ["a:1"]}}}, "brokerz"),
        ({"processors": {"batch": {}}}, "batch"),
        ({"exporters": {"kafka": {"producer": {"required_acks": "some"}}}}, "required_acks"),
    ],
)
def test_wrong_configurations_are_refused(tmp_path: Path, wrong: Config, words: str) -> None:
    """What is misspelt, unknown or not compiled in is named."""
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    done = _validate(FOLDER / "config.yaml", tmp_path / "wrong.yaml")

    assert done.returncode != 0
    assert words in done.stderr
