"""The compose file agrees with the Compose specification, with the repository, and with the program's settings.

No container engine is needed, and none has run it.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("forestay")}


def seconds(duration: str) -> float:
    """Reads the one form of duration the file uses."""
    found = re.fullmatch(r"(\d+)s", duration)
    assert found, duration
    return float(found[1])


def setting_names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from setting_names(kind, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """What a worker in its container has in force."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORESTAY_CONFIG", raising=False)
    for name, value in SERVICES["worker"]["environment"].items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_it_follows_the_compose_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command: list[str | Path] = [checker, "--builtin-schema", "vendor.compose-spec", FILE]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_images_are_pinned() -> None:
    tags = {name: service["image"].rpartition(":")[2] for name, service in SERVICES.items()}
    assert all(re.match(r"\d+\.\d+", tag) for tag in tags.values()), tags


def test_our_image_carries_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in OURS.values()} == {f"forestay-worker:{version}"}


def test_what_it_builds_and_mounts_exists() -> None:
    for service in OURS.values():
        context = FILE.parent / service["build"]["context"]
        assert context.resolve() == ROOT
        assert (context / service["build"]["dockerfile"]).is_file()
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if isinstance(volume, str):
                assert volume.partition(":")[0] in COMPOSE["volumes"]
            else:
                assert (FILE.parent / volume["source"]).is_dir()
                assert volume["read_only"]


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_every_condition_has_something_to_wait_for() -> None:
    for name, service in SERVICES.items():
        for other, needed in service.get("depends_on", {}).items():
            match needed["condition"]:
                case "service_healthy":
                    assert SERVICES[other]["healthcheck"]["test"][0] == "CMD", (name, other)
                case "service_completed_successfully":
                    assert SERVICES[other]["restart"] == "no", (name, other)
                case condition:
                    pytest.fail(f"{name} waits for {other} with {condition}")


def test_every_service_has_bounds() -> None:
    for name, service in SERVICES.items():
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name


def test_variables_are_settings() -> None:
    known = set(setting_names(Settings, "FORESTAY_"))
    for service in OURS.values():
        assert service["environment"].keys() <= known


def test_kafka_tells_the_worker_where_it_is(settings: Settings) -> None:
    kafka = SERVICES["kafka"]["environment"]
    assert f"INSIDE://{settings.kafka.bootstrap_servers}" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")


def test_kafka_tells_this_machine_the_default_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORESTAY_CONFIG", raising=False)
    default = load_settings().kafka.bootstrap_servers
    assert f"OUTSIDE://{default}" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"{default}:9092" in SERVICES["kafka"]["ports"]


def test_kafka_names_every_listener() -> None:
    kafka = SERVICES["kafka"]["environment"]
    listeners = {listener.partition("://")[0] for listener in kafka["KAFKA_LISTENERS"].split(",")}
    assert {pair.partition(":")[0] for pair in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")} == listeners
    assert {kafka["KAFKA_INTER_BROKER_LISTENER_NAME"], kafka["KAFKA_CONTROLLER_LISTENER_NAMES"]} <= listeners


def test_triton_serves_the_model_the_worker_asks_for(settings: Settings) -> None:
    triton = SERVICES["triton"]
    assert f"--load-model={settings.triton.model}" in triton["command"]
    assert f"--model-repository={triton['volumes'][0]['target']}" in triton["command"]
    assert f"/v2/models/{settings.triton.model}/ready" in triton["healthcheck"]["test"][-1]
    host, _, port = settings.triton.url.partition(":")
    assert host == "triton"
    assert f"127.0.0.1:{port}:{port}" in triton["ports"]
    assert (FILE.parent / triton["volumes"][0]["source"] / settings.triton.model / "config.pbtxt").is_file()


def test_the_worker_is_given_the_time_it_takes_to_stop(settings: Settings) -> None:
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > settings.worker.shutdown_deadline_seconds


def test_the_worker_s_health_check_asks_its_web_port(settings: Settings) -> None:
    check = SERVICES["worker"]["healthcheck"]
    assert f"http://127.0.0.1:{settings.web.port}/live" in check["test"][-1]
    compile(check["test"][-1], "the health check", "exec")
    assert settings.web.host == "127.0.0.1"


@pytest.mark.parametrize("name", OURS)
def test_commands_are_commands_of_ours(name: str) -> None:
    shown = CliRunner().invoke(app, [*OURS[name]["command"], "--help"])
    assert shown.exit_code == 0, shown.output
    assert "Usage" in shown.output


def test_our_containers_may_do_little() -> None:
    for service in OURS.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
