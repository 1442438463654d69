"""The threads that speak to the driver, in a real session, in a process of its own."""

from __future__ import annotations

import re

from tests.emitter.probes.conftest import Run
from tests.emitter.probes.rule_lines import matching

SESSION = """
import time
from emitter._ranks import identify
from emitter._session import Session
from emitter._settings import resolve
from emitter.probes import gpu_threads
from emitter.testing import MemoryExporter
memory = MemoryExporter()

def until(done):
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, [(log.name, log.body) for log in memory.received]
        time.sleep(0.01)

def lines():
    return [log for log in memory.received if log.name == "train.log"]

def gpus():
    return [log for log in memory.received if "hw.id" in log.attributes and log.body is None]

def session(**settings):
    resolved = resolve({"logs": False, "hooks": False, "flush_s": 0.01, "shutdown_s": 1.0, **settings})
    return Session(resolved, identify(resolved), {}, {}, exporter=memory)
"""


def test_an_xid_is_told_at_once(on_gpus: Run) -> None:
    """The line has the form of the kernel's, with the GPU's own address; no sample is waited for."""
    bodies, about, severity = on_gpus(
        SESSION + "made = session(resources_s=3600.0); made.start(); until(gpus)\n"
        '(faults / "xid.part").write_text("79"); (faults / "xid.part").rename(faults / "xid"); until(lines)\n'
        "made.close(); line = lines()[0]\n"
        "print(json.dumps([[one.body for one in lines()], line.attributes, line.severity]))"
    )

    assert bodies == ["Xid (PCI:0000:42:00): 79, reported by NVML for GPU-bbbb"]
    assert (about["hw.id"], about["hw.gpu.xid"], severity) == ("GPU-bbbb", 79, 17)
    assert matching(bodies[0], "hardware/xid-lost", "hardware/xid-unknown", "hardware/gpu-lost") == [
        "xid-lost"
    ]


def test_a_lost_gpu_does_not_silence_the_others(on_gpus: Run) -> None:
    """Its loss ends the driver's waiting for all; those that answer are waited for again."""
    bodies = on_gpus(
        SESSION + "made = session(resources_s=0.05); made.start(); until(gpus)\n"
        '(faults / "lost-0").touch(); until(lines)\n'
        '(faults / "xid.part").write_text("48"); (faults / "xid.part").rename(faults / "xid")\n'
        "until(lambda: len(lines()) == 2); made.close()\n"
        "print(json.dumps([one.body for one in lines()]))"
    )

    assert bodies[1] == "Xid (PCI:0000:42:00): 48, reported by NVML for GPU-bbbb"


def test_each_xid_of_the_rules_is_recognised_in_our_words(on_gpus: Run) -> None:
    """One code of each family, through the same line."""
    wanted = {48: "xid-memory", 119: "xid-reset", 74: "xid-nvlink", 31: "xid-restart", 63: "xid-ignore",
              61: "xid-support", 999: "xid-unknown", 154: "xid-recovery-action"}  # fmt: skip
    files = [f"hardware/{name}" for name in (*wanted.values(), "xid-lost")]

    for code, rule in wanted.items():
        assert matching(f"Xid (PCI:0000:42:00): {code}, reported by NVML for GPU-bbbb", *files) == [rule]


def test_a_driver_that_hangs_is_left_behind(on_gpus: Run) -> None:
    """Steps, samples of the host and the end go on; that it hangs is said once."""
    said, took, samples = on_gpus(
        SESSION + "gpu_threads.PATIENCE_S = 0.2\n"
        'made = session(resources_s=0.01); made.start(); until(gpus); (faults / "hang").touch()\n'
        "until(lines)\n"
        "before = len(memory.received); until(lambda: len(memory.received) > before + 20)\n"
        "made.step(1, None, {}); began = time.monotonic(); made.close(); took = time.monotonic() - began\n"
        '(faults / "hang").unlink()\n'
        "print(json.dumps([[one.body for one in lines()], took,"
        " [log.name for log in memory.received].count('train.step')]))"
    )

    assert len(said) == 1
    assert re.fullmatch(r"NVML has not answered for \d s: the driver or a GPU may hang; GPUs are .*", said[0])
    assert samples == 1
    assert took < 30


def test_nothing_of_ours_is_left(on_gpus: Run) -> None:
    """After the end there is no thread; without a driver there never was one for GPUs."""
    names = "sorted(thread.name for thread in threading.enumerate() if 'trainwarden' in thread.name)"
    code = (
        SESSION + "import threading\nmade = session(); made.start(); running = " + names + "\n"
        "made.close(); until(lambda: not " + names + ")\nprint(json.dumps(running))"
    )

    assert {"trainwarden-gpus", "trainwarden-xid"} <= set(on_gpus(code))
    assert "trainwarden-gpus" not in on_gpus(code, LD_LIBRARY_PATH="/nowhere")
    assert "trainwarden-gpus" not in on_gpus(code, TRAINWARDEN_GPUS="off")
    assert "trainwarden-xid" not in on_gpus(code, TRAINWARDEN_GPU_EVENTS="false")


def test_pynvml_is_imported_only_when_on(on_gpus: Run) -> None:
    """Off means not imported; on, without a driver, too."""
    code = (
        SESSION
        + "import sys\nmade = session(resources_s=0.01); made.start(); time.sleep(0.3); made.close()\n"
        "print(json.dumps('pynvml' in sys.modules))"
    )

    assert on_gpus(code, TRAINWARDEN_GPUS="off") is False
    assert on_gpus(code, LD_LIBRARY_PATH="/nowhere") is False
