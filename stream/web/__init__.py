"""The built-in viewer: draws the dashboards' JSON from the history, in a browser, without Grafana."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stream.web.deciding import Operator
    from stream.web.guard import Lock

__all__ = ["ENV_TOKEN", "ViewerError", "run"]

ENV_TOKEN: Final = "TRAINWARDEN_VIEW_TOKEN"
SHORTEST_TOKEN: Final = 16


class ViewerError(RuntimeError):
    """The viewer cannot start; the message says why and what to do."""


def run(
    *,
    clickhouse: str,
    host: str = "127.0.0.1",
    port: int = 8400,
    kafka: str | None = None,
    operator_key: Path | str | None = None,
    token: str | None = None,
) -> None:
    """Serve the viewer until SIGTERM or SIGINT.

    ``clickhouse`` is ``http(s)://[user:password@]host:port[/database]``; it is read from, never written to,
    and need not be up yet. With an operator's private key and ``kafka`` (host:port) the page approves and
    rejects commands. Who is not on the loopback needs the ``token``; without one, one is made and said on
    stderr. Raises ViewerError where the port is taken or the token short, KeyFileError for a bad key.
    """
    from aiohttp import web

    from stream import resources
    from stream.web.app import create

    lock = _lock(host, port, token)
    app = create(clickhouse, resources.path("dashboards"), host, _operator(kafka, operator_key), lock)
    try:
        web.run_app(app, host=host, port=port, print=None, handler_cancellation=True, access_log=None)
    except OSError as error:
        raise ViewerError(
            f"viewer: cannot listen on {host}:{port} ({error.strerror or error}); stop what uses the port, or"
            " choose another with --port"
        ) from None


def _lock(host: str, port: int, token: str | None) -> Lock | None:
    """None on the loopback without a token: this machine is trusted, and guarded against other sites."""
    import secrets
    import sys

    from stream.web.app import STATIC
    from stream.web.guard import Lock, is_loopback

    if token is None and is_loopback(host):
        return None
    if token is None:
        token = secrets.token_urlsafe(32)
        address = f"http://{host}:{port}/?token={token}"
        sys.stderr.write(f"viewer: open {address}\nviewer: set {ENV_TOKEN} to keep the token over restarts\n")
    if len(token) < SHORTEST_TOKEN:
        raise ViewerError(
            f"viewer: {ENV_TOKEN}: expected at least {SHORTEST_TOKEN} characters, got {len(token)};"
            " make one with `openssl rand -hex 32`"
        )
    return Lock(token, (STATIC / "login.html").read_text(encoding="utf-8"))


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
