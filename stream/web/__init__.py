"""The built-in viewer: draws the dashboards' JSON from the history, in a browser, without Grafana."""

from __future__ import annotations

__all__ = ["ViewerError", "run"]


class ViewerError(RuntimeError):
    """The viewer cannot start; the message says why and what to do."""


def run(*, clickhouse: str, host: str = "127.0.0.1", port: int = 8400) -> None:
    """Serve the viewer until SIGTERM or SIGINT.

    ``clickhouse`` is ``http(s)://[user:password@]host:port[/database]``; it is read from, never written to,
    and need not be up yet. Raises ViewerError where the port is taken.
    """
    from aiohttp import web

    from stream import resources
    from stream.web.app import create

    app = create(clickhouse, resources.path("dashboards"), host)
    try:
        web.run_app(app, host=host, port=port, print=None, handler_cancellation=True, access_log=None)
    except OSError as error:
        raise ViewerError(
            f"viewer: cannot listen on {host}:{port} ({error.strerror or error}); stop what uses the port, or"
            " choose another with --port"
        ) from None
