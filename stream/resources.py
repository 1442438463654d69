"""Where the data that ships with Trainwarden lies: in a checkout, or inside the installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT: Final = {
    "rules": "rules",
    "dashboards": "dashboards/generated",
    "clickhouse": "deploy/clickhouse",
    "examples": "examples",
}


def path(name: str) -> Path:
    """The folder of ``rules``, ``dashboards`` (generated JSON), ``clickhouse`` (DDL) or ``examples``.

    Raises KeyError for another name, FileNotFoundError when the installation is incomplete.
    """
    in_checkout = _PACKAGE.parent / _CHECKOUT[name]
    installed = _PACKAGE / "_data" / name
    for folder in (installed, in_checkout):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{name}: expected in {installed} or {in_checkout}; reinstall trainwarden")
