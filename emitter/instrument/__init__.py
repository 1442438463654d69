"""Observes a torch trainer that does not know of us: ``trainwarden run --instrument -- python train.py``.

``path`` is a folder for the front of PYTHONPATH; Python runs its ``sitecustomize`` at the start of every
process below. ``torch_steps`` is what it calls once torch's optimizers are imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent / "path"


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The same with our folder at the front of PYTHONPATH, once."""
    before = [part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    rest = [part for part in before if part != str(FOLDER)]
    return {**environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), *rest])}
