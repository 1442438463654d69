"""The command line of somebody with keys of their own, run in this process."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from stream.cli import main
from stream.keys import OPERATOR, KeyStore


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Shell:
    """The command line of somebody with keys of their own, and no stack."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = KeyStore(home / "config" / "trainwarden")
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TRAINWARDEN_")},
            "XDG_CONFIG_HOME": str(home / "config"), "TRAINWARDEN_DATA_DIR": str(home / "data"),
            "USER": "ada", "LOGNAME": "ada", "COLUMNS": "200",
        }  # fmt: skip

    def keys(self) -> Shell:
        self.store.new("worker")
        self.store.new("ada", OPERATOR)
        return self

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "stream.cli", *words]

    def run(self, *words: str) -> Done:
        """In this process: to import it all takes longer than most of what is tested here."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        line = ["trainwarden", *words]
        with (
            mock.patch.dict(os.environ, self.env, clear=True), mock.patch.object(sys, "argv", line),
            redirect_stdout(out), redirect_stderr(err),
        ):  # fmt: skip
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    def fails(self, code: int, *words: str) -> str:
        """What it says on stderr; one line, never a traceback."""
        done = self.run(*words)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        (line,) = done.stderr.strip().splitlines()
        return line.removeprefix("trainwarden: ")
