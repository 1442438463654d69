"""The threads that speak to the driver, in a real session, in a process of its own."""

from __future__ import annotations

import re

import pytest

from stream.rulelang import load_packs
from tests.emitter.probes.conftest import Run
from tests.emitter.probes.rule_lines import PACKS, matching
from tests.stream.diagnose.stories import Feed, line, resource

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
        "made.step(1); began = time.monotonic(); made.close(); took = time.monotonic() - began\n"
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


KERNEL = """
import socket
from emitter.probes import kernel_log
theirs, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
theirs.setblocking(False)
kernel_log.open_log = theirs.detach
made = session(resources_s=3600.0, kernel_log=True)
made.start()
until(gpus)
threads = next(probe for probe in made.probes if isinstance(probe, gpu_threads.GpuThreads))

def waiting():
    return threads._xids is not None and threads._xids._waiting

def nvml(xid):
    (faults / "xid.part").write_text(str(xid))
    (faults / "xid.part").rename(faults / "xid")

def said(xid, words, pci="0000:42:00"):
    kernel.send(f"3,1,2,-;NVRM: Xid (PCI:{pci}): {xid}, {words}\\n".encode())
"""
WAIT = "from emitter.probes import xid_echo; xid_echo.WAIT_S = "
PATIENT, LONG = f"{WAIT}6.0\n", f"{WAIT}3600.0\n"
"""A busy machine may read the kernel's words late."""
SAID = "made.close(); print(json.dumps([one.body for one in lines()]))"
GONE = "pid=7, name=python, GPU has fallen off the bus."


@pytest.mark.parametrize("order", ["nvml(79); {said}", "{said}; until(lines); nvml(79)"])
def test_what_the_kernel_says_of_an_xid_is_not_said_again(on_gpus: Run, order: str) -> None:
    """Whichever comes first: one line, the one with the details, and the real rules fire once. Another code,
    and the same code of another GPU, are news."""
    both = order.format(said=f"said(79, {GONE!r})")
    bodies = on_gpus(
        SESSION
        + PATIENT
        + KERNEL
        + f"{both}; said(48, 'of another', '0000:5e:00'); until(lambda: len(lines()) > 1)\n"
        'while (faults / "xid").exists(): time.sleep(0.01)\n'
        "nvml(48); until(lambda: len(lines()) > 2); " + SAID
    )

    assert sorted(bodies) == [
        f"NVRM: Xid (PCI:0000:42:00): 79, {GONE}",
        "NVRM: Xid (PCI:0000:5e:00): 48, of another",
        "Xid (PCI:0000:42:00): 48, reported by NVML for GPU-bbbb",
    ]
    assert fired(bodies) == ["xid-lost", "xid-memory"]


def test_good_news_of_the_kernel_is_no_alarm_of_nvml(on_gpus: Run) -> None:
    """NVML gives the number alone: 154 is an alarm where the kernel does not say that nothing is wanted."""
    words = "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"
    good = on_gpus(
        SESSION + PATIENT + KERNEL + f"nvml(154); until(waiting); said(154, {words!r}); until(lines); "
        "until(lambda: not waiting()); " + SAID
    )
    alone = on_gpus(SESSION + KERNEL + "nvml(154); until(lines); " + SAID)

    assert good == [f"NVRM: Xid (PCI:0000:42:00): 154, {words}"]
    assert fired(good) == ["xid-ignore"]
    assert alone == ["Xid (PCI:0000:42:00): 154, reported by NVML for GPU-bbbb"]
    assert fired(alone) == ["xid-recovery-action"]


def test_an_xid_that_waits_is_told_at_the_end(on_gpus: Run) -> None:
    """Where the kernel stays silent, and the run ends meanwhile, what NVML said is not lost."""
    bodies = on_gpus(SESSION + LONG + KERNEL + "nvml(79); until(waiting); " + SAID)

    assert bodies == ["Xid (PCI:0000:42:00): 79, reported by NVML for GPU-bbbb"]


def fired(bodies: list[str]) -> list[str]:
    """The rules of the hardware pack that these lines make fire, in the order of their names."""
    events = [line(body) for body in bodies]
    return sorted(one.rule for one in Feed(load_packs([PACKS / "hardware"])).send(resource(), *events))
