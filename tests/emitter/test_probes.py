"""Samples of GPUs through a small NVML of our own, compiled here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emitter.vocabulary.metrics import BY_NAME

NVML = r"""
#include <string.h>
typedef struct { unsigned int gpu, memory; } util_t;
typedef struct { unsigned long long total, free, used; } mem_t;
static int gpus[2] = {0, 1};
int nvmlInitWithFlags(unsigned f) { return 0; }
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int r) { return "an error"; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = &gpus[i]; return 0; }
int nvmlDeviceGetUUID(void *d, char *s, unsigned n) {
  strcpy(s, *(int *)d ? "GPU-bbbb" : "GPU-aaaa"); return 0; }
int nvmlDeviceGetName(void *d, char *s, unsigned n) { strcpy(s, "Test GPU"); return 0; }
int nvmlDeviceGetUtilizationRates(void *d, util_t *u) { u->gpu = 75; u->memory = 10; return 0; }
int nvmlDeviceGetMemoryInfo(void *d, mem_t *m) {
  m->total = 80000; m->used = 20000; m->free = 60000; return 0; }
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *t) { *t = 61; return 0; }
int nvmlDeviceGetPowerUsage(void *d, unsigned *p) {
  if (*(int *)d) return 3; /* NVML_ERROR_NOT_SUPPORTED */
  *p = 312500; return 0; }
int nvmlDeviceGetClockInfo(void *d, int kind, unsigned *c) { *c = kind == 1 ? 1410 : 1593; return 0; }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *r) { *r = 4; return 0; }
int nvmlDeviceGetTotalEccErrors(void *d, int kind, int counter, unsigned long long *c) {
  *c = kind == 0 ? 5 : 1; return 0; }
"""

SAMPLE = """
import json, logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
from emitter.probes.gpu import GpuProbe
probe = GpuProbe()
print(json.dumps([probe.sample(), probe.sample()]))
probe.close()
"""


def sample(tmp_path: Path) -> tuple[list[list[dict[str, Any]]], str]:
    """Two samples and the log of a process whose only NVML is what lies in tmp_path."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", SAMPLE], env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_gpus_are_sampled(tmp_path: Path) -> None:
    """Every field under its canonical name and unit; what the driver refuses is left out."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    (tmp_path / "nvml.c").write_text(NVML)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "nvml.c"], check=True)
    samples, _ = sample(tmp_path)
    first, second = samples[0]

    assert first == {
        "hw.id": "GPU-aaaa", "hw.name": "Test GPU", "hw.gpu.utilization": 0.75,
        "hw.gpu.memory.usage": 20000, "hw.gpu.memory.limit": 80000, "hw.gpu.memory.utilization": 0.25,
        "hw.gpu.temperature": 61, "hw.gpu.power": 312.5, "hw.gpu.clock.sm": 1410,
        "hw.gpu.clock.memory": 1593, "hw.gpu.throttle_reasons": 4,
        "hw.gpu.errors.ecc.corrected": 5, "hw.gpu.errors.ecc.uncorrected": 1,
        "hw.gpu.errors.ecc.lifetime.corrected": 5, "hw.gpu.errors.ecc.lifetime.uncorrected": 1,
    }  # fmt: skip
    assert set(first) - set(second) == {"hw.gpu.power"}
    assert second["hw.id"] == "GPU-bbbb"
    assert set(first) - {"hw.id", "hw.name"} <= set(BY_NAME)


def test_no_driver_is_silently_off(tmp_path: Path) -> None:
    """Without NVML there are no samples and one debug line."""
    samples, log = sample(tmp_path)

    assert samples == [[], []]
    assert log.splitlines() == ["DEBUG emitter no NVIDIA GPUs are sampled: NVML Shared Library Not Found"]
