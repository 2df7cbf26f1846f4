"""Access to a real Apache Kafka: each way in, each usual mistake told apart, and what the commands say of them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from support.secure_kafka import ADMIN, EVENT, NO_LOGIN, PASSWORD, SecureKafka
from support.workers import environment
from typer.testing import CliRunner

from forestay.access import AccessError
from forestay.cli.main import app
from forestay.settings import Settings
from forestay.shell.kafka_access import check_access
from forestay.shell.kafka_clients import connection_options

pytest_plugins = ("support.kafka_plugin", "support.secure_kafka_plugin")
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("clients_collected"),
    # kafka-python leaves a connection that is being made when a client is closed to the garbage collector.
    pytest.mark.filterwarnings("ignore:.*Socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning"),
]

Over = dict[str, Any]
CLEAR: Over = {"security_protocol": "PLAINTEXT"}
TLS: Over = {"security_protocol": "SSL", **NO_LOGIN}


def with_certificate(broker: SecureKafka) -> Over:
    key = broker.client
    return {
        **TLS,
        "bootstrap_servers": broker.address("mutual"),
        "ssl_certfile": key.certificate,
        "ssl_keyfile": key.key,
    }


def with_hidden_key(broker: SecureKafka) -> Over:
    key = broker.authority.issue("worker", password=PASSWORD, file="hidden")
    over = {"ssl_certfile": key.certificate, "ssl_keyfile": key.key, "ssl_key_password_file": broker.password_file}
    return with_certificate(broker) | over


def in_the_clear(broker: SecureKafka) -> Over:
    return {
        "bootstrap_servers": broker.address("saslclear"),
        "security_protocol": "SASL_PLAINTEXT",
        "ssl_cafile": None,
    }


WAYS: dict[str, Callable[[SecureKafka], Over]] = {
    "TLS": lambda broker: {**TLS, "bootstrap_servers": broker.address("tls")},
    "mutual TLS": with_certificate,
    "mutual TLS, encrypted key": with_hidden_key,
    "SCRAM-SHA-512": lambda _: {},
    "SCRAM-SHA-256": lambda _: {"sasl_mechanism": "SCRAM-SHA-256"},
    "password in the setting": lambda _: {"sasl_password_file": None, "sasl_password": PASSWORD},
    "PLAIN": lambda broker: {
        "bootstrap_servers": broker.address("plain"),
        "sasl_mechanism": "PLAIN",
        "sasl_username": ADMIN,
    },
    "OAUTHBEARER": lambda broker: broker.by_token(broker.tokens.token("worker")),
    "SASL_PLAINTEXT on loopback": in_the_clear,
    "the second server of two": lambda broker: {"bootstrap_servers": f"127.0.0.1:9,{broker.address('scram')}"},
}

#: What is set wrong, and what the error must say: what is the matter, and the setting to mend.
MISTAKES: dict[str, tuple[Callable[[SecureKafka], Over], tuple[str, ...]]] = {
    "wrong CA": (
        lambda broker: {"ssl_cafile": broker.stranger.file},
        ("authority that is not trusted", "kafka.ssl_cafile"),
    ),
    "no CA": (lambda _: {"ssl_cafile": None}, ("authority that is not trusted", "set kafka.ssl_cafile")),
    "expired certificate": (
        lambda broker: {**TLS, "bootstrap_servers": broker.address("expired")},
        ("certificate that has expired", "renews it"),
    ),
    "other host name": (
        lambda broker: {"bootstrap_servers": broker.address("scram").replace("127.0.0.1", "localhost")},
        ("not for localhost", "kafka.bootstrap_servers"),
    ),
    "wrong password": (
        lambda _: {"sasl_password_file": None, "sasl_password": "pa55word of somebody else"},
        ("refuses user worker or the password", "kafka.sasl_password_file"),
    ),
    "wrong password, PLAIN": (
        lambda broker: {"bootstrap_servers": broker.address("plain"), "sasl_mechanism": "PLAIN"},
        ("refuses user worker or the password", "kafka.sasl_username"),
    ),
    "unknown mechanism": (
        lambda _: {"sasl_mechanism": "PLAIN"},
        ("does not know PLAIN, but SCRAM-SHA-256, SCRAM-SHA-512", "kafka.sasl_mechanism"),
    ),
    "plaintext to a TLS port": (
        lambda broker: {**CLEAR, **NO_LOGIN, "ssl_cafile": None, "bootstrap_servers": broker.address("tls")},
        ("speaks TLS", "kafka.security_protocol to SSL"),
    ),
    "plaintext to a port of TLS and SASL": (
        lambda _: {"security_protocol": "SASL_PLAINTEXT", "ssl_cafile": None},
        ("speaks TLS", "kafka.security_protocol to SASL_SSL"),
    ),
    "TLS to a plaintext port": (
        lambda broker: {**TLS, "bootstrap_servers": broker.bootstrap},
        ("does not speak TLS", "kafka.security_protocol to PLAINTEXT"),
    ),
    "no login where one is asked for": (lambda _: TLS, ("asks for a login", "kafka.security_protocol to SASL_SSL")),
    "no login, no TLS": (
        lambda broker: {**in_the_clear(broker), **CLEAR, **NO_LOGIN},
        ("asks for a login", "kafka.security_protocol to SASL_PLAINTEXT"),
    ),
    "login where none is asked for": (
        lambda broker: {"bootstrap_servers": broker.address("tls")},
        ("asks for no login", "kafka.security_protocol to SSL"),
    ),
    "a password in the clear, sent on to another machine": (
        lambda broker: in_the_clear(broker) | {"bootstrap_servers": broker.address("tunnel")},
        ("sends its clients on to kafka.example", "kafka.sasl_plaintext_allowed"),
    ),
    "no certificate of ours": (
        lambda broker: {**TLS, "bootstrap_servers": broker.address("mutual")},
        ("asks for a certificate of ours", "kafka.ssl_certfile"),
    ),
    "a certificate of ours that nobody trusts": (
        lambda broker: (
            with_certificate(broker) | dict(zip(("ssl_certfile", "ssl_keyfile"), stranger(broker), strict=True))
        ),
        ("refuses our certificate", "signed by an authority"),
    ),
    "expired token": (
        lambda broker: broker.by_token(broker.tokens.token("worker", seconds=-600)),
        ("refuses the token", "expired"),
    ),
    "token for another audience": (
        lambda broker: broker.by_token(broker.tokens.token("worker", aud="somebody else")),
        ("refuses the token", "audience"),
    ),
    "no token at all": (lambda broker: broker.by_token("pa55word"), ("refuses the token", "token")),
}


def stranger(broker: SecureKafka) -> tuple[Path, Path]:
    return tuple(broker.stranger.issue("worker"))  # type: ignore[return-value]


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_leads_in_with_both_clients(broker: SecureKafka, way: str) -> None:
    kafka = broker.scram(**WAYS[way](broker))
    check_access(kafka)
    with KafkaAdminClient(**connection_options(kafka), bootstrap_timeout_ms=10_000) as admin:
        assert len(admin.describe_cluster()["brokers"]) == 1


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_told_apart_and_says_what_to_do(broker: SecureKafka, mistake: str) -> None:
    wrong, said = MISTAKES[mistake]
    with pytest.raises(AccessError) as caught:
        check_access(broker.scram(**wrong(broker)))
    assert [part for part in said if part not in str(caught.value)] == []
    assert "pa55word" not in str(caught.value)


# -- the commands ------------------------------------------------------------------------------------

COMMANDS = (["worker"], ["doctor"], ["send", "-"], ["tail", "actions"], ["topics", "declare"], ["topics", "describe"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_so_at_once_and_shows_no_password(
    broker: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    kafka = broker.scram()
    for name, value in environment(Settings(kafka=kafka)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FORESTAY_KAFKA__SASL_PASSWORD_FILE")
    monkeypatch.setenv("FORESTAY_KAFKA__SASL_PASSWORD", "pa55word of somebody else")
    monkeypatch.setenv("FORESTAY_WORKER__LOG_LEVEL", "debug")
    started = time.monotonic()
    done = CliRunner().invoke(app, command, input=EVENT)
    assert time.monotonic() - started < 8
    assert done.exit_code == 1, done.output
    assert "refuses user worker or the password" in done.output
    assert "kafka.sasl_password_file" in done.output
    assert "pa55word" not in done.output
