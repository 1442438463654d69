"""The house: what ships, what the pages promise, and what must never be in the tree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import emitter
from stream.diagnose.samples import run_samples
from stream.rulelang import load_text

ROOT = Path(__file__).parent.parent


def _tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def _texts() -> dict[Path, str]:
    texts = {}
    for path in _tracked():
        try:
            texts[path] = path.read_text()
        except UnicodeDecodeError:
            continue
    return texts


def test_the_top_level_is_as_agreed() -> None:
    """A stranger finds the same folders as always."""
    folders = {path.relative_to(ROOT).parts[0] for path in _tracked() if path.parent != ROOT}

    assert folders == {
        "emitter", "stream", "rules", "dashboards", "deploy", "tests", "bench", "docs", "examples", ".ci",
    }  # fmt: skip


def test_no_path_of_one_machine_is_in_the_tree() -> None:
    """Files name no home or work directory of whoever wrote them."""
    pattern = re.compile(r"(?<![\w.\]}])/(?:wo[r]k|ro[o]t|ho[m]e/\w+)/[A-Za-z.]")

    found = [str(path.relative_to(ROOT)) for path, text in _texts().items() if pattern.search(text)]

    assert found == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_pages_lead_somewhere(page: str) -> None:
    """Every relative link and picture of a page exists."""
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", (ROOT / page).read_text())

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_of_the_pages_exists() -> None:
    """`make X` in a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    named = {name for page in pages for name in re.findall(r"`make ([a-z-]+)", page.read_text())}

    assert named - targets == set()


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_rules_of_the_readme_hold() -> None:
    """Every pack in README loads, and its samples do as they say."""
    packs = _blocks("README.md", "yaml")

    assert packs
    for pack in packs:
        assert run_samples(load_text(pack, Path("README.md"))) == []


@pytest.mark.parametrize("page", ["README.md", "docs/emitter.md"])
def test_python_of_the_pages_is_python(page: str) -> None:
    """Every Python block parses, and uses only names that the emitter has."""
    blocks = _blocks(page, "python")

    assert blocks
    for block in blocks:
        names = {
            node.attr
            for node in ast.walk(ast.parse(block))
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "emitter"
        }
        assert names <= {*emitter.__all__, "testing"}


@pytest.mark.slow
def test_the_wheel_carries_its_data(tmp_path: Path) -> None:
    """An installed copy has the packs, the dashboards, the DDL and the example."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr

    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    for expected in (
        "emitter/py.typed", "stream/_data/rules/numerics/loss-spike.yaml", "stream/_data/dashboards/run.json",
        "stream/_data/examples/train_gpt.py", "stream/web/static/index.html",
    ):  # fmt: skip
        assert expected in names
    assert any(name.startswith("stream/_data/clickhouse/") and name.endswith(".sql") for name in names)
    assert not any(name.startswith("tests/") for name in names)
