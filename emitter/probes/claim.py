"""What one process of a run does for its node: several roles may share a node, each with a rank 0."""

from __future__ import annotations

import errno
import hashlib
import os
import socket


class Claim:
    """A name that one process at a time can hold; it is free again when that process ends, however it ends.

    An abstract Unix socket (Linux): nothing on disk is left behind, and a container has names of its own.
    """

    def __init__(self, what: str, run: str) -> None:
        digest = hashlib.blake2b(run.encode("utf-8", "replace"), digest_size=16).hexdigest()
        self._name = f"\0trainwarden/{os.getuid()}/{what}/{digest}"
        self._socket: socket.socket | None = None

    def take(self) -> bool:
        """Whether it is ours, now or since before. True as well where a system has no such names."""
        if self._socket is not None:
            return True
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            held.bind(self._name)
        except OSError as error:
            held.close()
            return error.errno != errno.EADDRINUSE
        self._socket = held
        return True

    def release(self) -> None:
        """Let another process have it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
