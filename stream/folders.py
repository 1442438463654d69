"""The files below a folder that others may be writing to while we look."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path) -> Iterator[Path]:
    """All files below it, in no order; links to folders are not followed.

    Hidden ones are left out: a Kubernetes ConfigMap keeps each of its files a second time in a hidden folder.
    Folders that vanish meanwhile, or may not be read, are passed over. Raises OSError for ``folder`` itself.
    """

    def refuse(error: OSError) -> None:
        if error.filename == str(folder):
            raise error

    for parent, folders, files in os.walk(str(folder), onerror=refuse):
        folders[:] = (name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in files if not name.startswith("."))
