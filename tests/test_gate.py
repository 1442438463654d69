"""The second chance that CI gives, with real pytest on small folders of tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest
from pathlib import Path

def test_that_passes():
    with Path("runs").open("a") as file:
        file.write("x")

@pytest.mark.parametrize("number", range({flaky}))
def test_that_passes_when_run_again(number):
    place = Path(f"before-{{number}}")
    there, _ = place.exists(), place.touch()
    assert there

@pytest.mark.parametrize("number", range({broken}))
def test_that_is_broken(number):
    assert False
"""


def _gate(folder: Path, flaky: int, broken: int, *, ci: bool = True, more: str = "") -> tuple[int, str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(TESTS.format(flaky=flaky, broken=broken) + more)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "PYTEST"))}
    env |= {"PYTHONPATH": str(ROOT)} | ({"CI": "true"} if ci else {})
    done = subprocess.run(
        [sys.executable, "-m", "tests.gate", "-n", "2", "--dist", "worksteal"],
        check=False, cwd=folder, env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_what_passes_runs_once(tmp_path: Path) -> None:
    status, output = _gate(tmp_path, 0, 0)
    assert (status, "===" in output.replace("=" * 4, "")) == (0, False)
    assert (tmp_path / "runs").read_text() == "x"


def test_a_few_that_failed_run_again_alone(tmp_path: Path) -> None:
    """And are named at the end; the others do not run again."""
    status, output = _gate(tmp_path, 3, 0)
    assert status == 0, output
    names = ", ".join(f"test_it.py::test_that_passes_when_run_again[{number}]" for number in range(3))
    assert output.splitlines()[-1] == f"=== flaky, passed only when run again: {names}"
    assert "3 failed" in output
    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.parametrize(
    ("flaky", "broken", "more"),
    [
        (0, 1, ""),
        (1, 1, ""),
        (4, 0, ""),
        (0, 0, "\ndef test_stops():\n    import pytest\n    pytest.exit('enough', 3)\n"),
        (1, 0, "\nno_such_name\n"),
    ],
)
def test_what_is_broken_fails(tmp_path: Path, flaky: int, broken: int, more: str) -> None:
    """Twice the same, more than a machine's accidents, or not all tests ran."""
    status, output = _gate(tmp_path, flaky, broken, more=more)
    assert status != 0
    assert "=== flaky" not in output


def test_elsewhere_nothing_runs_again(tmp_path: Path) -> None:
    status, output = _gate(tmp_path, 1, 0, ci=False)
    assert status == 1
    assert "once more" not in output
