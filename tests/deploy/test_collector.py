"""The Collector's manifest and its pinned modules, as far as they can be checked without Go."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "collector"
BUILD = FOLDER / "build"
MANIFEST: dict[str, Any] = yaml.safe_load((FOLDER / "builder.yaml").read_text())
CONFIGS = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "builder.yaml")
KINDS = ("receivers", "processors", "exporters", "extensions", "connectors")


def _modules() -> list[str]:
    return [part["gomod"] for kind in (*KINDS, "providers") for part in MANIFEST.get(kind, ())]


def test_every_part_is_of_one_version() -> None:
    """Manifest, parts and the image of the compose stack have the version that the tests run."""
    version = MANIFEST["dist"]["version"]
    assert {module.split()[1] for module in _modules() if "/confmap/" not in module} == {f"v{version}"}
    assert tuple(map(int, version.split("."))) >= (0, 151, 0)
    image = re.search(r"^COLLECTOR_IMAGE=.*:(.*)$", (ROOT / "deploy" / ".env").read_text(), re.MULTILINE)
    assert image is not None
    assert image[1] == version


def test_pinned_modules_are_those_of_the_manifest() -> None:
    """go.mod requires every part in its version, and go.sum has a checksum of it."""
    required, sums = (FOLDER / "go.mod").read_text(), (FOLDER / "go.sum").read_text()

    assert [
        one for one in _modules() if not re.search(rf"^\s{re.escape(one)}$", required, re.MULTILINE)
    ] == []
    assert [one for one in _modules() if f"{one} h1:" not in sums] == []


def test_only_what_is_used_is_compiled_in() -> None:
    """Every part of the manifest is in a configuration or a test, and the other way round."""
    configs = [yaml.safe_load(path.read_text()) for path in CONFIGS]
    used = {
        f"{name.split('/')[0].replace('_', '')}{kind.removesuffix('s')}"
        for config in configs
        for kind in KINDS
        for name in config.get(kind, {})
    }
    made = {one.split()[0].rpartition("/")[2] for one in _modules() if "/confmap/" not in one}
    # The storage extension's module is not called as its kind is.
    assert used - {"filestorageextension"} == made - {"filestorage"}
    assert ("filestorageextension" in used) == ("filestorage" in made)


def _build(path: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script with these programs alone, and an empty cache."""
    environ = {"PATH": str(path), "HOME": str(home)}
    bash = shutil.which("bash")
    assert bash is not None
    command = [bash, str(BUILD), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with what the script needs but Go."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dirname", "sed", "cat", "sha256sum", "cut"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(os.path.realpath(found))
    return folder


def test_build_says_that_go_is_missing(programs: Path, tmp_path: Path) -> None:
    """Without Go it fails, and names what is needed."""
    done = _build(programs, tmp_path)

    assert done.returncode == 1
    assert done.stderr == (
        "deploy/collector/build: needs Go 1.25.0 or newer (from 1.21 on, Go fetches that by itself); "
        "there is no `go` in PATH\n"
    )


def test_build_says_that_go_is_too_old(programs: Path, tmp_path: Path) -> None:
    """A Go that cannot fetch a newer one fails with its version (a script in its place)."""
    (programs / "go").write_text("#!/bin/sh\necho go1.19.8\n")
    (programs / "go").chmod(0o755)
    (programs / "sh").symlink_to(os.path.realpath("/bin/sh"))
    done = _build(programs, tmp_path)

    assert done.returncode == 1
    assert done.stderr.endswith("; found go1.19.8\n")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--path", "is not built: run deploy/collector/build"),
        ("--paht", "expected --path, --lock or nothing, got --paht"),
    ],
)
def test_build_says_what_else_is_wrong(programs: Path, tmp_path: Path, argument: str, words: str) -> None:
    """A path that is asked for before there is one, and a word that it does not know."""
    done = _build(programs, tmp_path, argument)

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
