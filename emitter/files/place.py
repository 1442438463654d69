"""``file:`` endpoints: a folder, and how much may be written there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

WISH: Final = "file:///FOLDER or file:FOLDER, with ?rotate=64MiB&keep=4GiB&fsync=never|file|always"
FSYNC: Final = ("never", "file", "always")
_UNITS: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
_SIZE: Final = re.compile(r"(\d{1,12})\s*(|[kmg]i?)b?", re.IGNORECASE)


class Place(NamedTuple):
    """``rotate``: bytes of one file; ``keep``: of all files of this process. ``fsync``: when to wait for the
    disk: never, when a file is finished, or after each request.
    """

    folder: Path
    rotate: int = 64 * 1024**2
    keep: int = 4 * 1024**3
    fsync: str = "file"

    def url(self) -> str:
        """The endpoint again, with an absolute path."""
        options = {"rotate": self.rotate, "keep": self.keep, "fsync": self.fsync}
        return f"file://{quote(str(self.folder))}?{urlencode(options)}"


def parse(endpoint: str) -> Place:
    """The place an endpoint names; a relative folder is one of the working directory. Raises ValueError."""
    parts = urlsplit(endpoint)
    folder = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc or parts.fragment or not folder.strip("/"):
        raise ValueError(WISH)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    made = Place(Path(folder).expanduser().absolute())
    made = made._replace(
        rotate=_size(options.pop("rotate", made.rotate)), keep=_size(options.pop("keep", made.keep)),
        fsync=options.pop("fsync", made.fsync),
    )  # fmt: skip
    if options or made.fsync not in FSYNC or made.keep < 2 * made.rotate:
        raise ValueError(f"{WISH}; keep at least twice rotate")
    return made


def _size(text: str | int) -> int:
    found = _SIZE.fullmatch(str(text))
    number = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not number:
        raise ValueError(WISH)
    return number
