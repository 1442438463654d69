"""TLS of the gateway: from the operator's files, read again when they were renewed."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any, Final

import grpc

from stream.gateway.errors import GatewayError

LOOK_S: Final = 30.0
"""How often the files are looked at."""

log = logging.getLogger(__name__)


class Certificate:
    """A certificate with its chain, and its private key (PEM); the key may be in the same file.

    Raises GatewayError when they cannot be used.
    """

    def __init__(self, certificate: Path, key: Path | None = None) -> None:
        self._files = (certificate, key or certificate)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._stamps = self._changed()
        self._load()

    def credentials(self) -> Any:
        """The same for a gRPC server, whose connections see renewed files too."""
        seen = self._contents

        def renewed() -> Any:
            nonlocal seen
            if seen is self._contents:
                return None
            seen = self._contents
            return grpc.ssl_server_certificate_configuration([seen])

        first = grpc.ssl_server_certificate_configuration([seen])
        return grpc.dynamic_ssl_server_credentials(first, renewed)

    async def renew(self) -> None:
        """Until it is cancelled: connections that come after the files changed see the new certificate."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Read the files again if they changed; what cannot be read leaves the old certificate."""
        try:
            stamps = self._changed()
            if stamps == self._stamps:
                return
            self._load()
            self._stamps = stamps
            log.info("TLS: the certificate in %s is renewed", self._files[0])
        except GatewayError as error:
            log.warning("%s; the old certificate stays", error)

    def _load(self) -> None:
        certificate, key = self._files
        try:
            # Without a password, OpenSSL would ask for one on the terminal.
            self.context.load_cert_chain(certificate, key, password=lambda: "")
            self._contents = (key.read_bytes(), certificate.read_bytes())
        except OSError as error:
            raise GatewayError(
                f"TLS: expected a certificate and its private key without a password (PEM) in {certificate}"
                f" and {key}, got: {error.strerror or error}"
            ) from None

    def _changed(self) -> tuple[float, ...]:
        try:
            return tuple(file.stat().st_mtime for file in self._files)
        except OSError as error:
            raise GatewayError(f"TLS: {error.filename}: cannot be read: {error.strerror}") from None
