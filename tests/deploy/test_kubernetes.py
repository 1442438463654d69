"""The files for Kubernetes, as far as they can be checked without a cluster."""

from __future__ import annotations

import copy
import itertools
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from stream.cli import app

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
README = (FOLDER / "README.md").read_text()
VERSIONS = ("1.30", "1.37")
"""The oldest and the newest version whose schemas are asked."""
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: list[dict[str, Any]] = [
    one for name in KUSTOMIZATION["resources"] for one in yaml.safe_load_all((FOLDER / name).read_text())
]
SETTINGS = dict(line.split("=", 1) for line in KUSTOMIZATION["configMapGenerator"][0]["literals"])
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in OBJECTS if one["kind"] == "Deployment"
}
CONTAINERS = {
    (pod, one["name"]): one
    for pod, spec in PODS.items()
    for one in [*spec.get("initContainers", ()), *spec["containers"]]
}


def _named(one: dict[str, Any]) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", OBJECTS, ids=_named)
def test_kubernetes_knows_every_field(one: dict[str, Any], version: str) -> None:
    """The schemas of the API, and no field that they do not have."""
    kubernetes_validate.validate(one, version, strict=True)
    wrong = copy.deepcopy(one)
    wrong["metadata"]["nmae"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_every_file_is_in_the_kustomization() -> None:
    """And every part has its pods."""
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(KUSTOMIZATION["resources"])
    assert set(PODS) == {"gateway", "loop", "history", "viewer"}


def _options(pod: str, name: str) -> dict[str, Any]:
    """What our command line makes of the arguments of a container."""
    command: Any = typer.main.get_command(app)
    given = [
        re.sub(r"\$\((\w+)\)", lambda found: SETTINGS[found[1]], argument)
        for argument in CONTAINERS[pod, name]["args"]
    ]
    while hasattr(command, "commands"):
        assert given[0] in command.commands, f"{pod}: trainwarden has no command {given[0]}"
        command = command.commands[given.pop(0)]
    found: dict[str, Any] = command.make_context(name, given, resilient_parsing=False).params
    return found


@pytest.mark.parametrize(("pod", "name"), CONTAINERS)
def test_commands_are_ours(pod: str, name: str) -> None:
    """Every command and option exists, and its values are allowed; the image is the one that is replaced."""
    assert _options(pod, name)
    assert CONTAINERS[pod, name]["image"] == KUSTOMIZATION["images"][0]["name"]


@pytest.mark.parametrize("pod", PODS)
def test_probes_and_services_find_what_listens(pod: str) -> None:
    """Probes ask the health pages on the port they are served on, from outside; services reach the others."""
    options, (container,) = _options(pod, pod), PODS[pod]["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    pages = "http" if pod == "viewer" else "health"
    assert ports[pages] == options["port" if pod == "viewer" else "health_port"]
    assert options["host" if pod == "viewer" else "health_host"] == "0.0.0.0"
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": pages}
    if pod == "gateway":
        assert (ports["otlp-http"], ports["otlp-grpc"]) == (options["port"], options["grpc_port"])
        assert options["host"] == "0.0.0.0"
    for service in (one for one in OBJECTS if _named(one) == f"Service/{pod}"):
        for port in service["spec"]["ports"]:
            assert port["port"] == ports[port["targetPort"]]


def test_selectors_choose_their_own_pods() -> None:
    """Of a deployment, its spread, its service and its disruption budget."""
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in OBJECTS
        if one["kind"] == "Deployment"
    }
    assert len({tuple(sorted(own.items())) for own in labels.values()}) == len(labels)
    for one in OBJECTS:
        name, spec = one["metadata"]["name"], one.get("spec", {})
        selector = spec.get("selector", {})
        if one["kind"] != "Namespace":
            assert selector.get("matchLabels", selector) == labels[name], _named(one)
        for spread in PODS.get(name, {}).get("topologySpreadConstraints", ()):
            assert spread["labelSelector"]["matchLabels"] == labels[name]


def test_what_pods_need_is_named_in_the_readme() -> None:
    """Secrets and ConfigMaps that somebody has to make; each key file lies where its variable says."""
    sources = list(itertools.chain.from_iterable(one.get("envFrom", ()) for one in CONTAINERS.values()))
    needed = {next(iter(one.values()))["name"] for one in sources}
    for spec in PODS.values():
        for volume in spec["volumes"]:
            needed |= {volume["secret"]["secretName"]} if "secret" in volume else set()
            needed |= {volume["configMap"]["name"]} if "configMap" in volume else set()
    for one in CONTAINERS.values():
        needed |= {
            variable["valueFrom"]["secretKeyRef"]["name"]
            for variable in one.get("env", ())
            if "valueFrom" in variable
        }
    optional = {
        source["name"] for one in sources for source in one.values() if source.get("optional")
    } | {"trainwarden-operators"}  # fmt: skip
    told = dict(re.findall(r"^\| `(trainwarden[\w-]*)`(, may be missing)? \|", README, re.MULTILINE))
    assert set(told) == needed
    assert {name for name, may_be_missing in told.items() if may_be_missing} == optional
    places = {mount["name"]: mount["mountPath"] for mount in CONTAINERS["loop", "loop"]["volumeMounts"]}
    keys = {one["name"]: one["value"] for one in CONTAINERS["loop", "loop"]["env"]}
    assert keys == {
        "TRAINWARDEN_SIGNING_KEY": f"{places['signing']}/signing.pem",
        "TRAINWARDEN_OPERATORS": f"{places['operators']}/operators",
    }


@pytest.mark.parametrize(("pod", "name"), CONTAINERS)
def test_pods_may_do_nothing_they_need_not(pod: str, name: str) -> None:
    """What the namespace's level `restricted` asks, and a file system that cannot be written."""
    spec, own = PODS[pod], CONTAINERS[pod, name]["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not spec["automountServiceAccountToken"]
    assert own == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    user = re.search(r"--uid (\d+)", (FOLDER.parent / "Dockerfile").read_text())
    assert user is not None
    assert spec["securityContext"]["runAsUser"] == int(user[1])
