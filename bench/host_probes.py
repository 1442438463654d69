"""What the probes of host, logs and endpoints cost, in CPU time of the thread that pays."""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import prometheus_client
import psutil
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bench.row import Row
from emitter.probes.console import Console
from emitter.probes.exposition import parse
from emitter.probes.gc_pauses import GcProbe
from emitter.probes.resource import ResourceProbe
from emitter.probes.tail import Tail

LINE = "step 1200 | loss 2.3456 | grad_norm 0.87 | lr 3.0e-04 | 12345 tokens/s\n"


def measure() -> list[Row]:
    """Microseconds, the least of several tries."""
    return [_sample(), _print(), _tail(), _scrape(), _collection()]


def _cpu_us(call: Callable[[], object], number: int = 50, tries: int = 7) -> float:
    call()
    least = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        for _ in range(number):
            call()
        least = min(least, (time.thread_time() - began) / number)
    return least * 1e6


def _sample() -> Row:
    process = psutil.Process()

    def peer() -> None:
        psutil.cpu_times(), psutil.virtual_memory(), psutil.swap_memory(), psutil.disk_usage("/")
        psutil.disk_io_counters(), psutil.net_io_counters()
        process.as_dict(["cpu_times", "memory_info", "num_fds", "num_threads", "io_counters"])

    return Row("a sample of host, container and process", _cpu_us(ResourceProbe().sample),
               _cpu_us(peer), "us", "psutil: host and process")  # fmt: skip


def _print() -> Row:
    console, real = Console(lambda *_: None, 10**9, logs=True, hooks=True), sys.stdout

    def heard_print() -> None:
        print(LINE, end="")
        console._pieces.clear()

    with open("/dev/null", "w", buffering=1) as sys.stdout:
        try:
            bare = _cpu_us(lambda: print(LINE, end=""), 500)
            console.start()
            heard = _cpu_us(heard_print, 500)
            console.stop()
        finally:
            sys.stdout = real
    return Row("one more print of a line, with console=True", heard - bare, bare, "us", "the print itself")


def _tail() -> Row:
    count = 5000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.log"
        path.touch()
        tail = Tail((str(path),), lambda *_: None, 10**9)
        tail.turn()
        least = float("inf")
        for _ in range(5):
            with path.open("a") as out:
                out.write(LINE * count)
            began = time.thread_time()
            tail.turn()
            least = min(least, (time.thread_time() - began) / count * 1e6)
        tail.close()
        path.write_text(LINE * count)
        peer = _cpu_us(lambda: [line.strip() for line in path.open()], 3) / count
    return Row("a line of a followed file", least, peer, "us", "reading it as text")


def _scrape() -> Row:
    registry = prometheus_client.CollectorRegistry()
    for index in range(30):
        gauge = prometheus_client.Gauge(
            f"DCGM_FI_DEV_{index}", "A field", ["gpu", "UUID", "modelName"], registry=registry
        )
        for gpu in range(8):
            gauge.labels(str(gpu), f"GPU-{gpu}", "NVIDIA H100 80GB HBM3").set(gpu)
    text = generate_latest(registry).decode()
    ours = _cpu_us(lambda: list(parse(text)), 3) / 240
    theirs = (
        _cpu_us(lambda: [list(family.samples) for family in text_string_to_metric_families(text)], 3) / 240
    )
    return Row("a sample of a pulled endpoint", ours, theirs, "us", "prometheus_client's parser")


def _collection() -> Row:
    probe = GcProbe()
    info = {"generation": 0}

    def timed() -> None:
        probe._collected("start", info)
        probe._collected("stop", info)

    def young() -> None:
        kept = [[index] for index in range(700)]
        gc.collect(0)
        kept.clear()

    return Row("timing one garbage collection", _cpu_us(timed, 5000), _cpu_us(young, 200), "us",
               "a collection of 700 new objects")  # fmt: skip
