"""The built-in viewer: draws the dashboards' JSON from the history, in a browser, without Grafana."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.web.deciding import Operator

__all__ = ["ViewerError", "run"]


class ViewerError(RuntimeError):
    """The viewer cannot start; the message says why and what to do."""


def run(
    *,
    clickhouse: str,
    host: str = "127.0.0.1",
    port: int = 8400,
    kafka: str | None = None,
    operator_key: Path | str | None = None,
) -> None:
    """Serve the viewer until SIGTERM or SIGINT.

    ``clickhouse`` is ``http(s)://[user:password@]host:port[/database]``; it is read from, never written to,
    and need not be up yet. With an operator's private key and ``kafka`` (host:port) the page approves and
    rejects commands. Raises ViewerError where the port is taken, KeyFileError for a key that is no good.
    """
    from aiohttp import web

    from stream import resources
    from stream.web.app import create

    app = create(clickhouse, resources.path("dashboards"), host, _operator(kafka, operator_key))
    try:
        web.run_app(app, host=host, port=port, print=None, handler_cancellation=True, access_log=None)
    except OSError as error:
        raise ViewerError(
            f"viewer: cannot listen on {host}:{port} ({error.strerror or error}); stop what uses the port, or"
            " choose another with --port"
        ) from None


def _operator(kafka: str | None, key: Path | str | None) -> Operator | None:
    from stream.keys import OPERATOR, Signer
    from stream.ledger.words import author
    from stream.web.deciding import Operator

    if key is None:
        return None
    if not kafka:
        raise ViewerError(
            "viewer: --operator-key was given without a broker to send approvals to; give --kafka"
        )
    return Operator(Signer.load(Path(key), role=OPERATOR), kafka, f"{author()} (viewer)")
