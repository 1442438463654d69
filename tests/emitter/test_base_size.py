"""How much a trainer has to install: number and size of the base dependencies, and of ours."""

from __future__ import annotations

from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
MOST_PACKAGES, MOST_MB = 6, 30.0
"""cryptography, most of the bytes, brings cffi and pycparser, on Python 3.10 typing-extensions too."""


def named() -> list[str]:
    """The names in pyproject's own list."""
    text = (ROOT / "pyproject.toml").read_text()
    lines = text.partition("\ndependencies = [")[2].partition("]")[0].split()
    return [Requirement(line.strip('",')).name for line in lines]


def needed(name: str, found: dict[str, Distribution]) -> None:
    """The package and what it needs on this interpreter, without extras, into ``found``."""
    if name in found:
        return
    found[name] = distribution(name)
    for text in found[name].requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed(requirement.name.lower(), found)


def megabytes(files: list[Path]) -> float:
    """Of those that are there, without what Python compiled."""
    return sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc") / 1e6


def test_the_base_is_few_packages_and_small() -> None:
    """All that comes along counts; the sizes are printed."""
    found: dict[str, Distribution] = {}
    for name in named():
        needed(name, found)
    sizes = {
        name: megabytes([Path(str(one.locate_file(file))) for file in one.files or ()])
        for name, one in sorted(found.items())
    }
    own = megabytes(list((ROOT / "emitter").rglob("*.py")))
    print(", ".join(f"{name} {found[name].version} {size:.1f} MB" for name, size in sizes.items()))
    print(f"{len(sizes)} packages, {sum(sizes.values()):.1f} MB; the emitter itself {own:.2f} MB")

    assert len(sizes) <= MOST_PACKAGES
    assert 1.0 < sum(sizes.values()) < MOST_MB
    assert own < 2.0
