"""Settings of access: what cannot work is refused, what is secret is never shown."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.core.errors import ConfigurationError
from forestay.demo.stack import _local
from forestay.settings import KafkaSettings, TritonSettings, WebSettings, load_settings
from forestay.shell.kafka_clients import connection_options, ssl_context
from forestay.shell.triton_clients import client_options
from forestay.shell.worker import logging_config

FILE = Path("secret")
LOGIN: dict[str, Any] = {"sasl_username": "shop", "sasl_password_file": FILE}
REMOTE: dict[str, Any] = {"bootstrap_servers": "kafka.example:9092"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"security_protocol": "SASL_SSL"}, "needs sasl_username and sasl_password_file"),
        ({"security_protocol": "SASL_SSL", "sasl_username": "shop"}, "needs sasl_username and sasl_password_file"),
        ({"security_protocol": "SASL_SSL", **LOGIN, "sasl_password": "a"}, "exclude each other"),
        ({"security_protocol": "SASL_PLAINTEXT", **LOGIN, **REMOTE}, "sasl_plaintext_allowed=true"),
        (
            {"security_protocol": "SASL_PLAINTEXT", **LOGIN, "bootstrap_servers": "127.0.0.1:1,10.0.0.1:1"},
            "SASL_PLAINTEXT to 10.0.0.1:1",
        ),
        ({"security_protocol": "SSL", **LOGIN}, "SSL sends no credentials"),
        ({"ssl_cafile": FILE}, "PLAINTEXT encrypts nothing"),
        ({"security_protocol": "SSL", "ssl_keyfile": FILE}, "ssl_keyfile needs ssl_certfile"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "GSSAPI", **LOGIN}, "OAUTHBEARER"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", **LOGIN}, "needs sasl_token_file"),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "sasl_token_url": "https://idp"},
            "the client's id as sasl_username",
        ),
        (
            {
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "OAUTHBEARER",
                "sasl_token_url": "http://idp.example/token",
                **LOGIN,
            },
            "must be https",
        ),
    ],
)
def test_ways_into_kafka_that_cannot_work_are_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KafkaSettings.model_validate(given)
    assert reason in str(caught.value)


@pytest.mark.parametrize("server", ["127.0.0.1:9092", "localhost:9092", "[::1]:9092", "127.1.2.3:1"])
def test_a_password_may_go_unencrypted_to_this_machine_alone(server: str) -> None:
    clear: dict[str, Any] = {"security_protocol": "SASL_PLAINTEXT", **LOGIN}
    KafkaSettings(**clear, bootstrap_servers=server)
    KafkaSettings(**clear, **REMOTE, sasl_plaintext_allowed=True)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ca_file": FILE}, "need tls=true"),
        ({"tls": True, "cert_file": FILE}, "cert_file and key_file are set together"),
    ],
)
def test_half_of_tls_to_triton_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TritonSettings.model_validate(given)
    assert reason in str(caught.value)


def test_the_web_port_is_off_and_where_it_is_on_not_open_to_all() -> None:
    assert WebSettings().port is None
    assert WebSettings(port=6066).host == "127.0.0.1"
    for host in ("0.0.0.0", "::", "10.0.0.1", "worker.example"):  # noqa: S104
        with pytest.raises(ValidationError, match="set token_file"):
            WebSettings(port=6066, host=host)
        assert WebSettings(port=6066, host=host, token_file=FILE).host == host


def test_a_password_comes_from_its_file_without_the_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" with spaces \n")
    login: dict[str, Any] = {"security_protocol": "SASL_SSL", "sasl_username": "a"}
    passwords = [
        KafkaSettings(**login, sasl_password_file=file).password,
        KafkaSettings(**login, sasl_password=SecretStr("b")).password,
    ]
    assert passwords == [" with spaces ", "b"]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff", b"x" * 70_000])
def test_a_file_that_holds_no_secret_is_named_not_shown(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    settings = KafkaSettings(security_protocol="SASL_SSL", sasl_username="a", sasl_password_file=file)
    with pytest.raises(ConfigurationError, match=r"kafka.sasl_password_file names .*password") as caught:
        connection_options(settings)
    assert "xx" not in str(caught.value)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    file = tmp_path / "some.pem"
    with pytest.raises(ConfigurationError, match=r"kafka.ssl_cafile names .*: No such file"):
        ssl_context(KafkaSettings(security_protocol="SSL", ssl_cafile=file))
    file.write_text("no certificate")
    with pytest.raises(ConfigurationError, match="holds no certificate in PEM"):
        ssl_context(KafkaSettings(security_protocol="SSL", ssl_cafile=file))
    with pytest.raises(ConfigurationError, match=r"kafka.ssl_certfile .* cannot be used"):
        ssl_context(KafkaSettings(security_protocol="SSL", ssl_certfile=file))


def test_a_context_verifies_certificate_and_host_name() -> None:
    context = ssl_context(KafkaSettings(security_protocol="SSL"))
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    assert context.minimum_version.name in ("TLSv1_2", "TLSv1_3")


def test_no_log_level_lets_a_client_write_what_it_sends() -> None:
    """At the level of debugging aiokafka logs every request, with a password in one of them."""
    for level in ("DEBUG", "INFO", "WARNING", "ERROR"):
        loggers = logging_config(level)["loggers"]
        assert {loggers[name]["level"] for name in ("aiokafka", "kafka")} <= {"WARNING", "ERROR"}


# -- never shown -------------------------------------------------------------------------------------

HIDDEN = "s3cret-of-the-test"
SECRETS = {
    "FORESTAY_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "FORESTAY_KAFKA__SASL_USERNAME": "shop",
    "FORESTAY_KAFKA__SASL_PASSWORD": HIDDEN,
    "FORESTAY_KAFKA__SSL_KEY_PASSWORD": HIDDEN,
    "FORESTAY_WEB__TOKEN": HIDDEN,
    "FORESTAY_FORMAT__REGISTRY_USERNAME": "shop",
    "FORESTAY_FORMAT__REGISTRY_PASSWORD": HIDDEN,
}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("command", [["config"], ["config", "--json"]], ids=" ".join)
def test_config_shows_stars(secrets: None, command: list[str]) -> None:
    del secrets
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "***" in done.output
    assert HIDDEN not in done.output


def test_neither_repr_nor_dump_shows_a_secret(secrets: None) -> None:
    del secrets
    settings = load_settings()
    assert settings.kafka.password == HIDDEN
    assert HIDDEN not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FORESTAY_KAFKA__SECURITY_PROTOCOL", "SASL"),
        ("FORESTAY_KAFKA__SASL_PASSWORT", HIDDEN),
        ("FORESTAY_KAFKA", f'{{"sasl_password": "{HIDDEN}"'),
        ("FORESTAY_WEB__PORT", HIDDEN),
        ("FORESTAY_WEB__HOST", "0.0.0.0"),  # noqa: S104
    ],
)
def test_no_error_of_the_settings_shows_a_secret(
    secrets: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    del secrets
    monkeypatch.setenv(name, value)
    if name == "FORESTAY_WEB__HOST":
        monkeypatch.setenv("FORESTAY_WEB__PORT", "1")
        monkeypatch.delenv("FORESTAY_WEB__TOKEN")
    done = CliRunner().invoke(app, ["config"])
    assert done.exit_code == 1
    assert HIDDEN not in done.output
    cause: BaseException | None = done.exception
    while cause is not None:
        assert "_PASSWORT" in name or HIDDEN not in str(cause)
        cause = cause.__cause__


def test_what_another_kafka_asks_for_does_not_reach_a_broker_of_our_own(
    secrets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`forestay up` in a shell that is set up for production."""
    del secrets
    for name in ("KAFKA__SSL_CAFILE", "KAFKA__SSL_CERTFILE", "TRITON__CA_FILE"):
        monkeypatch.setenv(f"FORESTAY_{name}", "/etc/forestay/some.pem")
    monkeypatch.setenv("FORESTAY_TRITON__TLS", "true")
    settings = load_settings(**_local("127.0.0.1:1", "127.0.0.1:2"))
    assert connection_options(settings.kafka).keys() == {
        "bootstrap_servers",
        "security_protocol",
        "request_timeout_ms",
    }
    assert client_options(settings.triton) == {"url": "127.0.0.1:2", "ssl": False}
    assert settings.web == WebSettings()


def test_a_flag_that_is_wrong_is_named_without_its_value(secrets: None) -> None:
    del secrets
    done = CliRunner().invoke(app, ["config", "--set", f"kafka.sasl_password=[{HIDDEN}"])
    assert done.exit_code == 2
    assert "--set kafka.sasl_password: the value is not JSON" in done.output
    assert HIDDEN not in done.output


def test_a_settings_file_that_is_no_yaml_is_not_quoted(secrets: None, tmp_path: Path) -> None:
    del secrets
    file = tmp_path / "forestay.yaml"
    file.write_text(f'kafka: {{sasl_password: "{HIDDEN}\n')
    done = subprocess.run(
        [sys.executable, "-m", "forestay", "config", "--config", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "is not YAML" in done.stderr
    assert HIDDEN not in done.stderr + done.stdout
