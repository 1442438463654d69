"""Prometheus (Debian's package ``prometheus``): from a bad value exposed to an alert firing.

It scrapes and evaluates every second, with an alert without ``for``; its API is asked every 10 ms. Values
turn bad one after the other at any point of the second, over ten scrape jobs, because Prometheus gives each
job, and each group of rules, a fixed place in the second.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from stream.ports import choose

JOBS: Final = 10
_POLL_S: Final = 0.01
_APART_S: Final = (0.05, 0.15)
_WAIT_S: Final = 60.0
_JOB: Final = """
  - job_name: job-{job}
    metrics_path: /{job}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
_CONFIG: Final = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yaml]
scrape_configs:
{jobs}
"""
_RULES: Final = """
groups:
{groups}
"""
_GROUP: Final = """
  - name: group-{job}
    rules:
      - alert: LossNotFinite
        expr: loss{{job="job-{job}"}} != loss{{job="job-{job}"}}
"""


class PrometheusError(RuntimeError):
    """It cannot be run here; the message says what to do."""


def firing_ms(trials: int) -> list[float]:
    """Milliseconds from exposed to firing, one for each trial. Raises PrometheusError."""
    values = dict.fromkeys(range(trials), 1.0)
    with (
        tempfile.TemporaryDirectory() as folder,
        _exporter(values) as port,
        _running(Path(folder), port) as url,
    ):
        return _watch(url, values)


def _watch(url: str, values: dict[int, float]) -> list[float]:
    waiting, exposed, took = sorted(values), dict[int, float](), dict[int, float]()
    # Every series has to be known, or the first scrape would be waited for, too.
    end = time.monotonic() + _WAIT_S
    while len(_ask(url, "query?query=count_over_time(loss[1m])")["result"]) < len(values):
        assert time.monotonic() < end, "Prometheus does not see all series"
        time.sleep(0.2)
    due, end = time.monotonic(), time.monotonic() + _WAIT_S + len(values) * max(_APART_S)
    while len(took) < len(values):
        assert time.monotonic() < end, f"{len(values) - len(took)} alerts did not fire"
        if waiting and time.monotonic() >= due:
            number = waiting.pop(0)
            values[number], exposed[number] = float("nan"), time.monotonic()
            due += random.uniform(*_APART_S)
        alerts = _ask(url, "alerts")["alerts"]
        now = time.monotonic()
        for alert in alerts:
            number = int(alert["labels"]["trial"])
            if alert["state"] == "firing" and number not in took:
                took[number] = (now - exposed[number]) * 1000
                values[number] = 1.0
        time.sleep(_POLL_S)
    return list(took.values())


def _ask(url: str, what: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/{what}", timeout=60) as answer:
        return json.load(answer)["data"]


@contextmanager
def _exporter(values: dict[int, float]) -> Iterator[int]:
    """Shows the values to come: those of job J at ``/J``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            job = int(self.path.strip("/"))
            lines = [
                f'loss{{trial="{n}"}} {v:g}'.replace("nan", "NaN")
                for n, v in values.items()
                if n % JOBS == job
            ]
            body = ("# TYPE loss gauge\n" + "\n".join(lines) + "\n").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@contextmanager
def _running(folder: Path, exporter: int) -> Iterator[str]:
    binary = shutil.which("prometheus")
    if binary is None:
        raise PrometheusError(
            "prometheus is not installed: apt-get install --no-install-recommends prometheus"
        )
    jobs = "".join(_JOB.format(job=job, port=exporter) for job in range(JOBS))
    (folder / "prometheus.yaml").write_text(_CONFIG.format(jobs=jobs))
    groups = "".join(_GROUP.format(job=job) for job in range(JOBS))
    (folder / "rules.yaml").write_text(_RULES.format(groups=groups))
    port = choose(["prometheus"], "auto")["prometheus"]
    argv = [
        binary, f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    with subprocess.Popen(argv) as process:
        try:
            yield _ready(f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()


def _ready(url: str, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + _WAIT_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
            return url
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise PrometheusError(f"{url} did not become ready") from None
        time.sleep(0.1)
