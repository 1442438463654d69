"""NotebookError
├── NoRunError           no run of this id or name in history
├── MissingLibraryError  what was asked for needs a library that is not installed
└── ExportError          a file cannot be written
"""

from __future__ import annotations


class NotebookError(Exception):
    """The history cannot say what was asked; the message says why and what to do."""


class NoRunError(NotebookError, LookupError):
    """History holds no such run; the message guesses."""


class MissingLibraryError(NotebookError, ImportError):
    """pandas or polars is not installed."""


class ExportError(NotebookError, OSError):
    """A file cannot be written."""
