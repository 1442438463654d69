"""Samples of the real host and process, and of trees of files in the form of /proc and /sys."""

from __future__ import annotations

import gc
import math
import socket
import threading
from pathlib import Path

import pytest

from emitter.probes import host
from emitter.probes.gc_pauses import GcProbe
from emitter.probes.infiniband import InfinibandProbe
from emitter.probes.patient import Patient
from emitter.probes.pressure import stalled
from emitter.probes.process import ProcessProbe
from emitter.probes.rates import Rates
from emitter.probes.resource import ResourceProbe
from emitter.vocabulary.metrics import BY_NAME


def write(root: Path, files: dict[str, str]) -> Path:
    """A tree of files under root."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_host_and_process_are_sampled() -> None:
    """Known names, finite numbers, shares between 0 and 1; rates from the second sample on."""
    probe = ResourceProbe()
    first, second = probe.sample(), probe.sample()

    assert set(second) <= set(BY_NAME)
    assert "system.network.io.receive" in set(second) - set(first)
    assert all(math.isfinite(value) and value >= 0 for value in second.values())
    assert 0 < second["system.memory.utilization"] < 1
    assert second["process.memory.usage"] > 1_000_000
    assert {"system.filesystem.free", "system.shm.free"} <= set(second)


def test_other_ranks_of_a_node_sample_their_process_only() -> None:
    """One process per node speaks for the host."""
    probe = ResourceProbe(host=False)

    assert {name.partition(".")[0] for name in probe.sample()} == {"process"}
    assert probe.ports() == []


def test_descriptors_and_their_limit() -> None:
    """An open socket counts; the limit is the soft one of this process."""
    probe = ProcessProbe()
    before = probe.gauges()
    with socket.socket():
        during = probe.gauges()

    assert during["process.unix.file_descriptor.count"] - before["process.unix.file_descriptor.count"] == 1
    assert during["process.unix.file_descriptor.limit"] > during["process.unix.file_descriptor.count"]


def test_bytes_of_this_process_are_counted(tmp_path: Path) -> None:
    """What the process writes shows in its own counter."""
    probe = ProcessProbe()
    before = probe.counters()["process.disk.io.write"]
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(1 << 20))
        file.flush()

    assert probe.counters()["process.disk.io.write"] - before >= 0


def test_rates() -> None:
    """Growth per second; nothing of a counter that is new, went back, or has had no time."""
    now = iter([10.0, 12.0, 12.0, 14.0])
    rates = Rates(lambda: next(now))

    assert rates.of({"bytes": 100}) == {}
    assert rates.of({"bytes": 300, "new": 1}) == {"bytes": 100.0}
    assert rates.of({"bytes": 400, "new": 5}) == {}
    assert rates.of({"bytes": 10, "new": 9}) == {"new": 2.0}


def test_disks_are_counted_once(tmp_path: Path) -> None:
    """Whole disks count; partitions, loops and volumes made of disks do not."""
    line = "   8  {0} {1} 10 0 {2} 5 20 0 {3} 7 0 {4} 12 0 0 0 0\n"
    root = write(tmp_path, {
        "proc/diskstats": line.format(0, "sda", 100, 10, 500) + line.format(1, "sda1", 100, 10, 500)
        + line.format(2, "dm-0", 100, 10, 500) + line.format(3, "nvme0n1", 4, 2, 1000)
        + line.format(4, "loop0", 9, 9, 9) + "garbage\n",
        **{f"sys/block/{name}/stat": "" for name in ("sda", "dm-0", "nvme0n1", "loop0")},
    })  # fmt: skip
    found, busy = host.counters(root)

    assert found["system.disk.io.read"] == 104 * 512
    assert found["system.disk.io.write"] == 12 * 512
    assert busy == {"sda": 0.5, "nvme0n1": 1.0}


def test_memory(tmp_path: Path) -> None:
    """In use is what is not available; without the kernel's table psutil is asked."""
    kib = "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 250 kB\nSwapTotal: 80 kB\nSwapFree: 50 kB\n"
    found = host.memory(write(tmp_path, {"proc/meminfo": kib}))

    assert found == {
        "system.memory.usage": 750 * 1024, "system.memory.limit": 1000 * 1024,
        "system.memory.utilization": 0.75, "system.paging.usage": 30 * 1024,
    }  # fmt: skip
    real, asked = host.memory(), host.memory(tmp_path / "none")
    assert asked["system.memory.limit"] == real["system.memory.limit"] > 0
    assert abs(asked["system.memory.utilization"] - real["system.memory.utilization"]) < 0.2


def test_a_file_system_that_is_gone_is_left_out(tmp_path: Path) -> None:
    """No folder, no numbers."""
    assert host.filesystem(tmp_path / "gone") == host.shared_memory(tmp_path / "gone") == {}


def test_pressure(tmp_path: Path) -> None:
    """Totals in seconds; `full` of the CPU, which says nothing, is left out; so is what is not readable."""
    some = (
        "some avg10=1.00 avg60=2.00 avg300=3.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total={}\n"
    )
    write(
        tmp_path, {"cpu": some.format(2_500_000, 1), "memory": some.format(1_000_000, 500_000), "io": "odd"}
    )

    assert stalled(tmp_path, "system.pressure") == {
        "system.pressure.cpu.some": 2.5,
        "system.pressure.memory.some": 1.0,
        "system.pressure.memory.full": 0.5,
    }
    assert stalled(tmp_path / "none", "system.pressure") == {}


def test_pressure_of_this_machine() -> None:
    """Where the kernel counts stalls, shares are between 0 and 1 (a little more for the clocks' sake)."""
    if not Path("/proc/pressure/cpu").exists():
        pytest.skip("a kernel without pressure stall information")
    probe = ResourceProbe()
    probe.sample()
    found = probe.sample()

    assert 0 <= found["system.pressure.cpu.some"] <= 1.5
    assert {"system.pressure.memory.full", "system.pressure.io.some"} <= set(found)


PORT = "sys/class/infiniband/mlx5_0/ports/1"


def test_ports(tmp_path: Path) -> None:
    """State, speed, rates in bytes and counts of errors, under the names of the vocabulary."""
    root = write(tmp_path, {
        "sys/class/infiniband/mlx5_0/hca_type": "MT4129\n",
        f"{PORT}/state": "4: ACTIVE\n", f"{PORT}/rate": "400 Gb/sec (4X NDR)\n",
        f"{PORT}/counters/port_rcv_data": "1000\n", f"{PORT}/counters/port_xmit_data": "0\n",
        f"{PORT}/counters/link_downed": "2\n", f"{PORT}/counters/symbol_error": "N/A (no PMA)\n",
        f"{PORT}/hw_counters/out_of_sequence": "7\n",
        "sys/class/infiniband/mlx5_1/ports/1/state": "1: DOWN\n",
    })  # fmt: skip
    now = iter(range(10))
    probe = InfinibandProbe(lambda: float(next(now)), root / "sys/class/infiniband")
    probe.sample()
    write(root, {f"{PORT}/counters/port_rcv_data": "3000\n"})
    active, down = probe.sample()

    assert active == {
        "hw.id": "mlx5_0/1", "hw.type": "network", "hw.name": "MT4129", "hw.network.up": 1.0,
        "hw.network.bandwidth.limit": 5e10, "hw.network.io.receive": pytest.approx(4000),
        "hw.network.io.transmit": 0.0, "hw.network.errors.link_downed": 2,
        "hw.network.errors.out_of_sequence": 7,
    }  # fmt: skip
    assert down == {"hw.id": "mlx5_1/1", "hw.type": "network", "hw.network.up": 0.0}
    assert {name for name in active if not name.startswith(("hw.id", "hw.type", "hw.name"))} <= set(BY_NAME)


def test_no_adapters(tmp_path: Path) -> None:
    """Most machines have no InfiniBand."""
    assert InfinibandProbe(lambda: 0.0, tmp_path / "none").sample() == []


def test_a_call_that_hangs_is_asked_no_second_time() -> None:
    """While it hangs there is no answer and no further thread; when it is over, answers come again."""
    hang, calls = threading.Event(), []

    def call() -> int:
        calls.append(1)
        hang.wait(30)
        return 7

    patient = Patient("test", call, patience_s=0.01)
    assert (patient.ask(), patient.ask(), patient.ask()) == (None, None, None)
    assert len(calls) == 1
    hang.set()
    thread = patient._thread
    assert thread is not None
    thread.join(10)
    assert Patient("test", call, patience_s=30).ask() == 7


def test_garbage_collections_are_timed() -> None:
    """Collections count from the start of the interpreter, pauses since the sample before."""
    probe = GcProbe()
    probe.start()
    try:
        before = probe.sample()
        gc.collect()
        gc.collect()
        after, then = probe.sample(), probe.sample()
    finally:
        probe.close()
        probe.close()

    assert after["cpython.gc.collections"] - before["cpython.gc.collections"] >= 2
    assert 0 < after["cpython.gc.pause.longest"] < after["cpython.gc.pause"]
    assert then["cpython.gc.pause"] <= after["cpython.gc.pause"]
    assert set(after) <= set(BY_NAME)
    assert probe._collected not in gc.callbacks
