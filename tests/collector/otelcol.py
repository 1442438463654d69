"""The Collector of deploy/collector as a process, with configurations of the checkout and of a test."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
import yaml

from tests.fixtures import Child, free_port, http_request

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "collector"
Config = Path | dict[str, Any]
"""A file, or what would be in one; later ones are laid over earlier ones, maps merged, lists replaced."""


def program() -> str:
    """Path of the compiled Collector; fails the test where there is none."""
    found = subprocess.run([FOLDER / "build", "--path"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.fail(f"`make test-collector` builds what these tests need; {found.stderr}")
    return found.stdout.strip()


class Collector:
    """One Collector with ports of its own. ``start`` returns when it is healthy."""

    def __init__(self, directory: Path, *configs: Config) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.http, self.grpc, self._health = free_port(), free_port(), free_port()
        self._log = directory / "collector.log"
        self._configs = _written(directory, [*configs, self._own()])
        self._child: Child | None = None

    def _own(self) -> dict[str, Any]:
        return {
            "extensions": {"health_check": {"endpoint": f"127.0.0.1:{self._health}"}},
            # Its own metrics have a fixed port, and these tests do not read them.
            "service": {"telemetry": {"metrics": {"level": "none"}}},
        }

    def over(self, config: dict[str, Any]) -> None:
        """Lay one more configuration over the others, before ``start``."""
        self._configs += _written(self._log.parent, [config], len(self._configs))

    def otlp(self) -> dict[str, Any]:
        """The OTLP receiver on this Collector's ports, as a configuration."""
        protocols = {"grpc": self.grpc, "http": self.http}
        return {
            "receivers": {
                "otlp": {
                    "protocols": {name: {"endpoint": f"127.0.0.1:{port}"} for name, port in protocols.items()}
                }
            }
        }

    def validate(self) -> subprocess.CompletedProcess[str]:
        """`otelcol validate` with these configurations."""
        command = [program(), "validate", *self._configs]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def start(self) -> None:
        """Run until ``stop`` or ``kill``; fails the test with the log when it does not come up."""
        self._child = Child([program(), *self._configs], self._log)
        self._child.wait_until(self._healthy, "the health check")

    def stop(self) -> None:
        """SIGTERM; it ends by itself, without an error."""
        assert self._child is not None
        assert self._child.stop() == 0, self.log()

    def kill(self) -> None:
        """SIGKILL."""
        assert self._child is not None
        self._child.kill()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _healthy(self) -> bool:
        try:
            return http_request("GET", f"http://127.0.0.1:{self._health}/").status == 200
        except OSError:
            return False


C = TypeVar("C", bound="Collector")


@contextlib.contextmanager
def running(collector: C) -> Iterator[C]:
    """The Collector, as long as the block."""
    collector.start()
    try:
        yield collector
    finally:
        collector.kill()


def _written(directory: Path, configs: list[Config], first: int = 0) -> list[str]:
    found = []
    for number, config in enumerate(configs, first):
        path = config if isinstance(config, Path) else directory / f"config-{number}.yaml"
        if not isinstance(config, Path):
            path.write_text(yaml.safe_dump(config))
        found.append(f"--config=file:{path}")
    return found


def to_files(directory: Path, form: str = "proto") -> dict[str, Any]:
    """Pipelines from the OTLP receiver to one file a signal, as ``proto`` or ``json``."""
    signals = ("logs", "traces", "metrics")
    files = {
        f"file/{signal}": {"path": str(directory / signal), "format": form, "flush_interval": "50ms"}
        for signal in signals
    }
    pipelines = {signal: {"receivers": ["otlp"], "exporters": [f"file/{signal}"]} for signal in signals}
    return {
        "exporters": files,
        "service": {"extensions": ["health_check"], "pipelines": pipelines},
    }


class Filed(Collector):
    """A Collector that takes OTLP and writes files."""

    def __init__(self, directory: Path, form: str = "proto") -> None:
        super().__init__(directory, to_files(directory, form))
        self.over(self.otlp())
        self._directory = directory

    def bodies(self, signal: str) -> list[bytes]:
        """What it has written of ``logs``, ``traces`` or ``metrics`` in the form ``proto``."""
        return frames(self._directory / signal)

    def lines(self, signal: str) -> list[bytes]:
        """The same in the form ``json``: whole lines."""
        path = self._directory / signal
        return (
            [line for line in path.read_bytes().splitlines(True) if line.endswith(b"\n")]
            if path.exists()
            else []
        )


def frames(path: Path) -> list[bytes]:
    """The messages of a file of the file exporter (format proto): each with its length in four bytes."""
    if not path.exists():
        return []
    data, place, found = path.read_bytes(), 0, []
    while place + 4 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        if place + 4 + size > len(data):
            break  # being written
        found.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    return found


def to_kafka(directory: Path, bootstrap: str, *more: Config) -> Collector:
    """The configuration as it is deployed, but for places and ports."""
    exporters: Config = {"exporters": {"kafka": {"brokers": [bootstrap]}}}
    collector = Collector(directory, FOLDER / "config.yaml", *more, exporters)
    collector.over(collector.otlp())
    return collector
