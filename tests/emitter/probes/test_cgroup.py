"""Limits of control groups: files as both versions write them, in the places where a process finds them."""

from __future__ import annotations

from pathlib import Path

from emitter.probes.cgroup import CgroupProbe, throttled
from emitter.probes.mounts import folders
from emitter.vocabulary.metrics import BY_NAME
from tests.emitter.probes.test_resource import write

GIB = 1 << 30
MOUNT2 = "30 23 0:26 {} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
MOUNTS1 = "".join(
    f"3{index} 25 0:3{index} {{0}} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n"
    for index, name in enumerate(("memory", "cpu,cpuacct"))
)
STAT = f"anon {GIB}\nfile {3 * GIB}\ninactive_file {2 * GIB}\nactive_file {GIB}\nslab_reclaimable 0\n"


def test_version_2_in_a_container(tmp_path: Path) -> None:
    """A container sees its own limits at the root of what is mounted."""
    root = write(tmp_path, {
        "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": MOUNT2.format("/"),
        "sys/fs/cgroup/memory.max": f"{8 * GIB}\n", "sys/fs/cgroup/memory.current": f"{4 * GIB}\n",
        "sys/fs/cgroup/memory.stat": STAT, "sys/fs/cgroup/memory.events": "low 0\nmax 3\noom 2\noom_kill 1\n",
        "sys/fs/cgroup/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/cpu.stat": "usage_usec 5000000\nnr_periods 100\nnr_throttled 25\n",
    })  # fmt: skip
    probe = CgroupProbe(root)
    found = probe.gauges()

    assert found == {
        "container.memory.oom_kills": 1, "container.memory.limit": 8 * GIB,
        "container.memory.usage": 4 * GIB, "container.memory.working_set": 2 * GIB,
        "container.memory.available": 6 * GIB, "container.memory.utilization": 0.125,
        "container.cpu.limit": 2.5,
    }  # fmt: skip
    assert set(found) <= set(BY_NAME)
    assert throttled(probe.counters()) == {"container.cpu.usage": 5.0, "container.cpu.throttled": 0.25}


def test_the_smallest_limit_above_counts(tmp_path: Path) -> None:
    """Slurm limits the job, not the step: the use is that of the group that has the limit."""
    job = "sys/fs/cgroup/system.slice/slurmstepd.scope/job_7"
    root = write(tmp_path, {
        "proc/self/cgroup": "0::/system.slice/slurmstepd.scope/job_7/step_0/user/task_0\n",
        "proc/self/mountinfo": MOUNT2.format("/"),
        f"{job}/memory.max": f"{2 * GIB}\n", f"{job}/memory.current": f"{GIB}\n",
        f"{job}/memory.stat": "inactive_file 0\n",
        f"{job}/step_0/memory.max": "max\n", f"{job}/step_0/user/task_0/memory.max": f"{4 * GIB}\n",
        f"{job}/step_0/user/task_0/memory.current": "1\n",
        f"{job}/cpu.max": "max 100000\n", f"{job}/step_0/user/task_0/cpu.max": "max 100000\n",
    })  # fmt: skip
    found = CgroupProbe(root).gauges()

    assert found["container.memory.limit"] == 2 * GIB
    assert found["container.memory.utilization"] == 0.5
    assert "container.cpu.limit" not in found


def test_version_1_in_docker(tmp_path: Path) -> None:
    """The path names the host's group, of which the container sees the mounted part only."""
    root = write(tmp_path, {
        "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc\n",
        "proc/self/mountinfo": MOUNTS1.format("/docker/abc"),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/memory.stat": f"inactive_file 9\ntotal_inactive_file {GIB // 2}\n",
        "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.stat": "nr_periods 10\nnr_throttled 10\nthrottled_time 5\n",
        "sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "3000000000\n",
    })  # fmt: skip
    probe = CgroupProbe(root)

    assert probe.gauges() == {
        "container.memory.oom_kills": 4, "container.memory.limit": 2 * GIB, "container.memory.usage": GIB,
        "container.memory.working_set": GIB / 2, "container.memory.available": 1.5 * GIB,
        "container.memory.utilization": 0.25, "container.cpu.limit": 0.5,
    }  # fmt: skip
    assert throttled(probe.counters()) == {"container.cpu.usage": 3.0, "container.cpu.throttled": 1.0}


def test_version_1_without_limits(tmp_path: Path) -> None:
    """What version 1 writes for "no limit" is none."""
    root = write(tmp_path, {
        "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/\n", "proc/self/mountinfo": MOUNTS1.format("/"),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    })  # fmt: skip
    probe = CgroupProbe(root)

    assert (probe.gauges(), probe.counters()) == ({}, {})


def test_pressure_of_the_group(tmp_path: Path) -> None:
    """Version 2 counts stalls within a group; the root of all groups is the system itself."""
    lines = "some avg10=0.00 avg60=0.00 total=3000000\nfull avg10=0.00 avg60=0.00 total=0\n"
    files = {"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": MOUNT2.format("/"),
             "sys/fs/cgroup/a/memory.pressure": lines}  # fmt: skip
    root = write(tmp_path, files)
    assert CgroupProbe(root).counters() == {}
    write(root, {"sys/fs/cgroup/a/cgroup.type": "domain\n"})

    assert CgroupProbe(root).counters() == {
        "container.pressure.memory.some": 3.0, "container.pressure.memory.full": 0.0,
    }  # fmt: skip


def test_odd_files_are_no_limits(tmp_path: Path) -> None:
    """Files that are empty, half written, or from another world cost nothing."""
    root = write(tmp_path, {
        "proc/self/cgroup": "\nnonsense\n0::/../other\n", "proc/self/mountinfo": "x\n" + MOUNT2.format("/"),
        "sys/fs/cgroup/memory.max": "\n", "sys/fs/cgroup/cpu.max": "100000 0\n",
        "sys/fs/cgroup/memory.events": "oom_kill\n",
    })  # fmt: skip
    probe = CgroupProbe(root)

    assert (probe.gauges(), probe.counters()) == ({}, {})
    assert CgroupProbe(tmp_path / "none").gauges() == {}


def test_mount_points_with_blanks(tmp_path: Path) -> None:
    """mountinfo writes a blank as an octal escape."""
    write(tmp_path, {
        "proc/self/cgroup": "0::/\n", "mnt/a b/memory.max": "max\n",
        "proc/self/mountinfo": "30 23 0:26 / /mnt/a\\040b rw - cgroup2 cgroup2 rw\n",
    })  # fmt: skip

    assert folders(tmp_path) == {"": [tmp_path / "mnt/a b"]}


def test_groups_of_this_machine() -> None:
    """The real tree is read without trouble, and holds what the vocabulary knows."""
    found = CgroupProbe().gauges()

    assert set(found) <= set(BY_NAME)
    assert all(value >= 0 for value in found.values())
