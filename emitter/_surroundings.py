"""Where we run: what Slurm, Kubernetes, containers and torchrun tell a process, as resource attributes.

OpenTelemetry's names where it has one; ``slurm.*`` and ``torchelastic.*`` are ours. Kubernetes tells a pod
little by itself: name, node and UID come through variables that a pod's author maps (the downward API), of
which the usual spellings are known here.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

Attributes = dict[str, str | int]

_IN_KUBERNETES: Final = "KUBERNETES_SERVICE_HOST"
_PREFIXES: Final = ("K8S_", "MY_", "KUBERNETES_", "OTEL_RESOURCE_ATTRIBUTES_")
_BARE: Final = ("POD_", "NODE_")
"""These words need no prefix: inside a pod nobody else uses them."""
_KUBERNETES: Final = {
    "k8s.node.name": ("NODE_NAME",),
    "k8s.pod.name": ("POD_NAME",),
    "k8s.pod.uid": ("POD_UID",),
    "k8s.namespace.name": ("POD_NAMESPACE", "NAMESPACE_NAME", "NAMESPACE"),
    "k8s.container.name": ("CONTAINER_NAME",),
    "k8s.job.name": ("JOB_NAME",),
    "k8s.cluster.name": ("CLUSTER_NAME",),
}
_TEXTS: Final = {
    "slurm.job.id": "SLURM_JOB_ID",
    "slurm.job.name": "SLURM_JOB_NAME",
    "slurm.job.partition": "SLURM_JOB_PARTITION",
    "slurm.job.account": "SLURM_JOB_ACCOUNT",
    "slurm.array.job.id": "SLURM_ARRAY_JOB_ID",
    "slurm.array.task.id": "SLURM_ARRAY_TASK_ID",
    "slurm.step.id": "SLURM_STEP_ID",
    "slurm.cluster.name": "SLURM_CLUSTER_NAME",
    "slurm.node.name": "SLURMD_NODENAME",
    "slurm.topology": "SLURM_TOPOLOGY_ADDR",
    "torchelastic.run.id": "TORCHELASTIC_RUN_ID",
}
_COUNTS: Final = {
    "slurm.job.restart_count": "SLURM_RESTART_COUNT",
    "torchelastic.restart_count": "TORCHELASTIC_RESTART_COUNT",
    "torchelastic.max_restarts": "TORCHELASTIC_MAX_RESTARTS",
    "k8s.job.completion_index": "JOB_COMPLETION_INDEX",
}
_NAMESPACE: Final = "var/run/secrets/kubernetes.io/serviceaccount/namespace"
# The kubelet mounts files of each pod and container from a folder that carries their names.
_POD: Final = re.compile(r"/pods/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/")
_CONTAINER: Final = re.compile(r"/pods/[0-9a-f-]{36}/containers/([^/ ]+)/")
_CONTAINER_ID: Final = re.compile(r"/(?:overlay-)?containers/([0-9a-f]{64})/")
_GROUP_ID: Final = re.compile(r"[/:-]([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)


def facts(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> Attributes:
    """Resource attributes of this process's surroundings; what is not known is left out."""
    environ = os.environ if environ is None else environ
    found: Attributes = {name: value for name, variable in _TEXTS.items() if (value := environ.get(variable))}
    for name, variable in _COUNTS.items():
        value = environ.get(variable, "")
        if value.isdigit():
            found[name] = int(value)
    return found | _of_container(root) | _of_pod(environ, root)


def node_name(environ: Mapping[str, str] | None = None) -> str:
    """The node: in Kubernetes its own name where it is known, since a pod's host name is the pod's."""
    environ = os.environ if environ is None else environ
    told = _told(("NODE_NAME",), environ) if _IN_KUBERNETES in environ else None
    return told or socket.gethostname()


def _of_pod(environ: Mapping[str, str], root: Path) -> Attributes:
    if _IN_KUBERNETES not in environ:
        return {}
    mounts = _read(root / "proc/self/mountinfo")
    found: Attributes = {}
    for name, pattern in (("k8s.pod.uid", _POD), ("k8s.container.name", _CONTAINER)):
        match = pattern.search(mounts)
        if match:
            found[name] = match[1]
    if namespace := _read(root / _NAMESPACE).strip():
        found["k8s.namespace.name"] = namespace
    for name, variables in _KUBERNETES.items():
        if told := _told(variables, environ):
            found[name] = told
    return found


def _of_container(root: Path) -> Attributes:
    match = _GROUP_ID.search(_read(root / "proc/self/cgroup"))
    match = match or _CONTAINER_ID.search(_read(root / "proc/self/mountinfo"))
    return {"container.id": match[1]} if match else {}


def _told(variables: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    names = [prefix + variable for variable in variables for prefix in _PREFIXES]
    names += [variable for variable in variables if variable.startswith(_BARE)]
    return next((environ[name] for name in names if environ.get(name)), None)


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
