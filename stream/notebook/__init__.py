"""The history for notebooks: ``History().run("gpt-7").steps("loss").pandas()``; see docs/notebooks.md."""

from stream.notebook.errors import ExportError, MissingLibraryError, NoRunError, NotebookError
from stream.notebook.frame import Frame
from stream.notebook.history import History
from stream.notebook.run import Run

__all__ = ["ExportError", "Frame", "History", "MissingLibraryError", "NoRunError", "NotebookError", "Run"]
