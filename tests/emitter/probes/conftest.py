"""A driver for tests: a small NVML of our own, compiled here, in a process that finds no other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
"""Runs Python code; ``faults`` is the folder of its faults, the last line it prints its answer (JSON)."""


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the compiled library."""
    compiler = shutil.which("cc") or shutil.which("gcc") or pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).parent / "nvml.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "libnvidia-ml.so.1", source], check=True)
    return folder


@pytest.fixture
def on_gpus(driver: Path, tmp_path: Path) -> Run:
    """Run code where the driver is ours; keywords are further environment variables."""

    def run(code: str, **environ: str) -> Any:
        env = {
            **os.environ, "LD_LIBRARY_PATH": str(driver), "PYTHONPATH": str(Path.cwd()),
            "FAKE_NVML_DIR": str(tmp_path), **environ,
        }  # fmt: skip
        code = f"import json, pathlib; faults = pathlib.Path({str(tmp_path)!r})\n{code}"
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
