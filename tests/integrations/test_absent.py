"""Integrations without their library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "library", "message"),
    [
        ("huggingface", "transformers", "needs transformers (with accelerate and torch): pip install"),
        ("lightning", "lightning", "needs Lightning: pip install lightning"),
    ],
)
def test_a_missing_library_is_named_with_its_command(module: str, library: str, message: str) -> None:
    """ImportError that says what to install, and nothing half imported."""
    code = f"import sys; sys.modules['{library}'] = None; import emitter.integrations.{module}"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert f"ImportError: emitter.integrations.{module} {message}" in ran.stderr


def test_the_hook_for_torch_imports_no_torch() -> None:
    """It uses what the optimizer brings; no integration is imported by the emitter itself."""
    code = (
        "import sys, emitter.integrations.torch_optim\n"
        "loaded = {'torch', 'transformers', 'lightning'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
