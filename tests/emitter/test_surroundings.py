"""What Slurm, Kubernetes, containers and torchrun say of a process, as resource attributes."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import opentelemetry.semconv
import pytest

import emitter
from emitter._surroundings import facts, node_name
from tests.emitter.probes.test_resource import write
from tests.emitter.receiver import Receiver
from tests.fixtures import wait_for

UID = "0c9ff2ee-4d9d-4d5c-9b1a-1f0a5a3c1f7e"
ID = "ab" * 32
MOUNT = "901 889 8:1 {} {} rw - ext4 /dev/sda1 rw\n"
PODS = f"/var/lib/kubelet/pods/{UID}"
POD = {
    "proc/self/mountinfo": MOUNT.format(f"{PODS}/etc-hosts", "/etc/hosts")
    + MOUNT.format(f"{PODS}/containers/trainer/1a2b", "/dev/termination-log"),
    "proc/self/cgroup": f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n",
    "var/run/secrets/kubernetes.io/serviceaccount/namespace": "research\n",
}
SLURM = {
    "SLURM_JOB_ID": "991", "SLURM_JOB_NAME": "gpt", "SLURM_JOB_PARTITION": "h100", "SLURM_JOB_ACCOUNT": "ml",
    "SLURM_ARRAY_JOB_ID": "990", "SLURM_ARRAY_TASK_ID": "7", "SLURM_STEP_ID": "0", "SLURM_RESTART_COUNT": "2",
    "SLURMD_NODENAME": "gpu017", "SLURM_CLUSTER_NAME": "alps", "SLURM_TOPOLOGY_ADDR": "core.leaf3.gpu017",
}  # fmt: skip


def test_slurm(tmp_path: Path) -> None:
    """Job, array, step, node and restarts; counts are numbers, ids are texts."""
    assert facts(SLURM, tmp_path) == {
        "slurm.job.id": "991", "slurm.job.name": "gpt", "slurm.job.partition": "h100",
        "slurm.job.account": "ml", "slurm.array.job.id": "990", "slurm.array.task.id": "7",
        "slurm.step.id": "0", "slurm.cluster.name": "alps", "slurm.node.name": "gpu017",
        "slurm.topology": "core.leaf3.gpu017", "slurm.job.restart_count": 2,
    }  # fmt: skip


def test_kubernetes_as_it_is(tmp_path: Path) -> None:
    """Without a word of the pod's author: UID and container from the kubelet's mounts, namespace from the
    account, container id from the control group.
    """
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "3"}

    assert facts(environ, write(tmp_path, POD)) == {
        "k8s.pod.uid": UID, "k8s.container.name": "trainer", "k8s.namespace.name": "research",
        "k8s.job.completion_index": 3, "container.id": ID,
    }  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "K8S_", "MY_", "OTEL_RESOURCE_ATTRIBUTES_"])
def test_kubernetes_as_the_pod_tells(prefix: str, tmp_path: Path) -> None:
    """Variables of the downward API, in their usual spellings, win."""
    environ = {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1", f"{prefix}POD_NAME": "gpt-0", f"{prefix}NODE_NAME": "gpu017",
        f"{prefix}POD_NAMESPACE": "other", f"{prefix}POD_UID": "u",
    }  # fmt: skip

    assert facts(environ, write(tmp_path, POD)) == {
        "k8s.pod.name": "gpt-0", "k8s.node.name": "gpu017", "k8s.namespace.name": "other",
        "k8s.pod.uid": "u", "k8s.container.name": "trainer", "container.id": ID,
    }  # fmt: skip
    assert node_name(environ) == "gpu017"


def test_outside_kubernetes_its_words_mean_nothing(tmp_path: Path) -> None:
    """NODE_NAME and CONTAINER_NAME are anybody's variables."""
    environ = {"NODE_NAME": "x", "CONTAINER_NAME": "y", "POD_NAME": "z"}

    assert facts(environ, tmp_path) == {}
    assert node_name(environ) == socket.gethostname()


def test_docker(tmp_path: Path) -> None:
    """With control groups of its own a container still sees its folder among the mounts."""
    root = write(tmp_path, {
        "proc/self/cgroup": "0::/\n",
        "proc/self/mountinfo": MOUNT.format(f"/var/lib/docker/containers/{ID}/hostname", "/etc/hostname"),
    })  # fmt: skip

    assert facts({}, root) == {"container.id": ID}


def test_torchrun(tmp_path: Path) -> None:
    """Run id and restarts; a count that is none is left out."""
    environ = {
        "TORCHELASTIC_RUN_ID": "job-7",
        "TORCHELASTIC_RESTART_COUNT": "1",
        "TORCHELASTIC_MAX_RESTARTS": "x",
    }

    assert facts(environ, tmp_path) == {"torchelastic.run.id": "job-7", "torchelastic.restart_count": 1}


def test_names_are_opentelemetrys(tmp_path: Path) -> None:
    """Every k8s.* and container.* name but the completion index is one of the semantic conventions."""
    environ = {
        "KUBERNETES_SERVICE_HOST": "h",
        "POD_NAME": "a",
        "NODE_NAME": "b",
        "K8S_JOB_NAME": "c",
        "K8S_CLUSTER_NAME": "d",
    }
    names = [name for name in facts(environ, write(tmp_path, POD)) if name.startswith(("k8s.", "container."))]
    folder = Path(next(iter(opentelemetry.semconv.__path__)))
    known = set(re.findall(r'"((?:k8s|container)\.[a-z_.]+)"', "".join(
        file.read_text() for file in folder.rglob("*_attributes.py"))))  # fmt: skip

    assert len(names) == 8
    assert set(names) <= known


def test_they_are_sent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record's resource has them, with the launcher; OTEL_RESOURCE_ATTRIBUTES wins over ours."""
    for name, value in {**SLURM, "SLURM_PROCID": "1", "SLURM_NTASKS": "2", "KUBERNETES_SERVICE_HOST": "h",
                        "NODE_NAME": "gpu017", "POD_NAME": "guess"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=told")
    emitter.init(run="where", endpoint=receiver.url, resources=False, logs=False)
    wait_for(lambda: receiver.records("train.lifecycle"), what="the first record")
    emitter.shutdown()
    found = receiver.resource()

    assert (found["slurm.job.id"], found["slurm.array.task.id"]) == ("991", "7")
    assert found["slurm.job.restart_count"] == 2
    assert (found["train.launcher"], found["train.attempt"], found["train.run.id"]) == (
        "slurm",
        2,
        "slurm-991",
    )
    assert (found["k8s.node.name"], found["host.name"], found["k8s.pod.name"]) == ("gpu017", "gpu017", "told")
