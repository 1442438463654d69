"""The packs judge what the probes measure: limits and ports as files, samples, the shipped rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from emitter.probes.infiniband import InfinibandProbe
from emitter.probes.resource import ResourceProbe
from emitter.vocabulary.metrics import BY_NAME
from stream.events import Event
from stream.rulelang import load_packs
from tests.emitter.probes.test_cgroup import GIB, MOUNT2
from tests.emitter.probes.test_resource import PORT, write
from tests.stream.diagnose.stories import SECOND, Feed, resource

RULES = Path(__file__).parents[3] / "rules"


@pytest.fixture(scope="module")
def feed() -> Feed:
    return Feed(load_packs([RULES]))


def container(root: Path, used: float, kills: int) -> Path:
    return write(root, {
        "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": MOUNT2.format("/"),
        "sys/fs/cgroup/memory.max": f"{GIB}\n", "sys/fs/cgroup/memory.current": f"{int(used * GIB)}\n",
        "sys/fs/cgroup/memory.stat": "inactive_file 0\n",
        "sys/fs/cgroup/memory.events": f"oom_kill {kills}\n",
    })  # fmt: skip


def test_a_container_that_runs_out_of_memory(feed: Feed, tmp_path: Path) -> None:
    """Nearly full for a minute, then a process of it is killed: both are noticed from its own files alone."""
    probe = ResourceProbe(root=container(tmp_path, 0.97, 0))
    made = []
    for sample in range(10):
        container(tmp_path, 0.97, int(sample > 8))
        values = probe.sample()
        made += feed.send(
            resource(run="a"), Event("train.resource", sample * 15 * SECOND, values=dict(values))
        )

    fired = [one for one in made if one.rule.startswith("container-")]
    assert [(one.rule, one.state) for one in fired] == [
        ("container-memory-low", "firing"), ("container-memory-kills", "firing"),
    ]  # fmt: skip
    assert fired[0].summary.startswith("The container on ")
    assert "97% of the memory" in fired[0].summary


def test_a_port_that_goes_down(feed: Feed, tmp_path: Path) -> None:
    """The port's own counter fires, under the port's name."""
    made = []
    probe = InfinibandProbe(lambda: 0.0, tmp_path / "sys/class/infiniband")
    for sample, count in enumerate((1, 1, 2)):
        write(tmp_path, {f"{PORT}/state": "4: ACTIVE\n", f"{PORT}/counters/link_downed": f"{count}\n"})
        (values,) = probe.sample()
        made += feed.send(resource(run="b"), Event("train.resource", sample * 15 * SECOND, values=values))

    assert [one.rule for one in made] == ["network-port"]
    assert made[0].summary.startswith("Port mlx5_0/1 of ")


def test_packs_name_what_there_is() -> None:
    """Every name of host, container, process and port that a pack reads is one that probes send."""
    text = "\n".join(file.read_text() for file in RULES.rglob("*.yaml"))
    named = set(
        re.findall(r"\b(?:system|container|process|cpython|hw\.network)\.[a-z_]+(?:\.[a-z_]+)*", text)
    )

    assert {"system.memory.utilization", "container.memory.oom_kills", "system.shm.free"} <= named
    assert {name for name in named if not name.startswith("process.py")} <= set(BY_NAME)
