"""pytest as CI runs it: a few failures among thousands of tests with real processes get a second chance.

``python -m tests.gate ARGUMENTS`` is ``python -m pytest ARGUMENTS``. Where ``CI`` is set and one to three
tests failed, these run once more, one at a time in a process of their own: what fails twice fails. Both
outputs are printed, and the last line names what passed only then, to be mended like any fault.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

MOST: Final = 3
"""More failures than this are no accident of a machine."""
_FAILED: Final = Path(".pytest_cache/v/cache/lastfailed")


def main(arguments: Sequence[str]) -> int:
    """The exit status of pytest. Runs in the folder where pytest has its cache."""
    if not os.environ.get("CI"):
        return _pytest(arguments)
    status = _pytest([*arguments, "--cache-clear"])
    # Any other status than this one: not all tests have run.
    if status != pytest.ExitCode.TESTS_FAILED:
        return status
    failed = sorted(json.loads(_FAILED.read_text()))
    if not 0 < len(failed) <= MOST:
        return status
    print(f"=== {len(failed)} failed, and run once more: {', '.join(failed)}", flush=True)
    again = _pytest([*arguments, "-n", "0", "--last-failed", "--last-failed-no-failures", "none"])
    if again == pytest.ExitCode.OK:
        print(f"=== flaky, passed only when run again: {', '.join(failed)}", flush=True)
    return again


def _pytest(arguments: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
