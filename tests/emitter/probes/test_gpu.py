"""GPUs through a small NVML of our own (nvml.c), compiled for the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from emitter.vocabulary.metrics import BY_NAME
from tests.emitter.probes.conftest import Run
from tests.emitter.probes.rule_lines import matching

SAMPLES = """
from emitter.probes.gpu import GpuProbe
from emitter.probes.gpu_choice import Choice
said = []
probe = GpuProbe(Choice(), lambda body, severity, attributes: said.append([body, severity, attributes]))
"""

FULL = {
    "hw.id": "GPU-aaaa", "hw.name": "Test GPU", "hw.gpu.utilization": 0.75,
    "hw.gpu.memory.usage": 20000, "hw.gpu.memory.limit": 80000, "hw.gpu.memory.utilization": 0.25,
    "hw.gpu.memory.temperature": 72, "hw.gpu.temperature": 61, "hw.gpu.power": 312.5,
    "hw.gpu.power_limit": 700.0, "hw.gpu.clock.sm": 1410, "hw.gpu.clock.memory": 1593,
    "hw.gpu.throttle_reasons": 4, "hw.gpu.errors.ecc.corrected": 5, "hw.gpu.errors.ecc.uncorrected": 1,
    "hw.gpu.errors.ecc.lifetime.corrected": 105, "hw.gpu.errors.ecc.lifetime.uncorrected": 101,
    "hw.gpu.remapped_rows.corrected": 1, "hw.gpu.remapped_rows.uncorrected": 2,
    "hw.gpu.remapped_rows.pending": 0, "hw.gpu.remapped_rows.failed": 0,
    "hw.gpu.nvlink.links": 3, "hw.gpu.nvlink.links.active": 3, "hw.gpu.nvlink.errors.crc_flit": 38,
    "hw.gpu.nvlink.errors.crc_data": 45, "hw.gpu.nvlink.errors.replay": 52,
    "hw.gpu.nvlink.errors.recovery": 59, "hw.gpu.nvlink.io.receive": 139 * 1024,
    "hw.gpu.nvlink.io.transmit": 138 * 1024, "hw.gpu.pcie.generation": 4, "hw.gpu.pcie.generation.max": 5,
    "hw.gpu.pcie.width": 8, "hw.gpu.pcie.width.max": 16, "hw.gpu.pcie.replays": 7,
    "hw.gpu.pcie.io.transmit": 3000, "hw.gpu.pcie.io.receive": 2000,
}  # fmt: skip


def test_every_field_has_its_name_and_unit(on_gpus: Run) -> None:
    """A GPU that answers everything gives every name of the list; what one refuses is left out."""
    (first, second, _), again = on_gpus(SAMPLES + "print(json.dumps([probe.sample(), probe.sample()]))")

    assert first == again[0] == FULL
    assert set(first) - {"hw.id", "hw.name"} == {name for name in BY_NAME if name.startswith("hw.gpu.")}
    assert {name for name in set(first) - set(second) if ".nvlink." not in name} == {"hw.gpu.power"}


def test_mig_instances_are_gpus_of_their_own(on_gpus: Run) -> None:
    """An instance has its UUID, its memory and the UUID of the GPU it is part of."""
    samples = on_gpus(SAMPLES + "print(json.dumps(probe.sample()))")

    assert samples[2] == {
        "hw.id": "MIG-cccc", "hw.parent": "GPU-bbbb", "hw.name": "Test GPU MIG 1g",
        "hw.gpu.memory.usage": 20000, "hw.gpu.memory.limit": 80000, "hw.gpu.memory.utilization": 0.25,
    }  # fmt: skip


def test_a_lost_gpu_is_told_once(on_gpus: Run) -> None:
    """The line is one that the rules take; the other GPU is sampled on, and nothing raises."""
    samples, said = on_gpus(
        SAMPLES + 'probe.sample(); (faults / "lost-0").touch()\n'
        "print(json.dumps([[[one['hw.id'] for one in probe.sample()] for _ in range(3)], said]))"
    )

    assert samples == [["GPU-bbbb", "MIG-cccc"]] * 3
    assert said == [["GPU GPU-aaaa is lost: NVML says GPU is lost", 17, {"hw.id": "GPU-aaaa"}]]
    assert matching(said[0][0], "hardware/gpu-lost") == ["gpu-lost"]


def test_a_gpu_that_needs_a_reset_is_told(on_gpus: Run) -> None:
    """Also one that is so from the start, by its number."""
    samples, said = on_gpus(
        SAMPLES + '(faults / "reset-1").touch()\nprint(json.dumps([len(probe.sample()), said]))'
    )

    assert samples == 1
    assert [body for body, _, _ in said] == [
        "GPU 1 cannot be used (NV_ERR_RESET_REQUIRED): NVML says GPU requires restart"
    ]
    assert matching(said[0][0], "hardware/gpu-lost") == ["gpu-lost"]


def test_rows_and_links_that_fail_are_told_once(on_gpus: Run) -> None:
    """A row that cannot be remapped, one that waits for a reset, a link that went down: a line each, once."""
    said = on_gpus(
        SAMPLES + "probe.sample()\n"
        'for name in ("pending", "failed", "down"): (faults / name).touch()\n'
        "for _ in range(3): probe.sample()\n"
        "print(json.dumps([body for body, _, about in said if about['hw.id'] == 'GPU-aaaa']))"
    )

    assert said == [
        "GPU GPU-aaaa: NVLink 1 went down",
        "GPU GPU-aaaa: row remapping failure, its memory cannot be repaired",
        "GPU GPU-aaaa: row remap pending until it is reset, after an uncorrectable memory error",
    ]
    assert matching(said[1], "hardware/ecc") == matching(said[2], "hardware/ecc") == ["ecc"]


def test_a_pending_row_of_long_ago_is_no_news(on_gpus: Run) -> None:
    """What was so before the run began is in the sample, not in the log."""
    rows, said = on_gpus(
        SAMPLES + '(faults / "pending").touch()\n'
        "print(json.dumps([probe.sample()[0]['hw.gpu.remapped_rows.pending'], said]))"
    )

    assert (rows, said) == (1, [])


def test_a_driver_that_does_not_fit_is_told(on_gpus: Run) -> None:
    """A driver that is there and cannot be used is a line of the log."""
    samples, said = on_gpus(
        SAMPLES + '(faults / "mismatch").touch()\nprint(json.dumps([probe.sample(), said]))'
    )

    assert samples == []
    assert [body for body, _, _ in said] == ["Failed to initialize NVML: Driver/library version mismatch"]


def test_no_driver_is_silently_off(tmp_path: Path) -> None:
    """Without NVML there are no samples and one debug line."""
    code = (
        "import logging, sys\n"
        'logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(levelname)s %(message)s")\n'
        "from emitter.probes.gpu import GpuProbe\nprint(GpuProbe().sample())"
    )
    env = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
    assert done.stderr.splitlines() == ["DEBUG no NVIDIA GPUs are sampled: NVML Shared Library Not Found"]
