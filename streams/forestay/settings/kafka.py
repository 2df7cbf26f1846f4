"""How a worker connects to Kafka."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    model_validator,
)

from forestay import access
from forestay.settings.group import Group


def _without_spaces(servers: str) -> str:
    return "".join(servers.split())


class KafkaSettings(Group):
    """How to reach Kafka."""

    bootstrap_servers: Annotated[str, AfterValidator(_without_spaces)] = Field(
        default="127.0.0.1:9092", description="host:port, several joined by commas"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="docs/security.md"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "SCRAM-SHA-512"
    sasl_username: str | None = Field(default=None, description="with sasl_token_url: the client's id")
    sasl_password: SecretStr | None = Field(default=None, description="with sasl_token_url: the client's secret")
    sasl_password_file: Path | None = Field(default=None, description="read at every connection")
    sasl_token_file: Path | None = Field(default=None, description="OAUTHBEARER: read at every connection")
    sasl_token_url: str | None = Field(
        default=None, description="OAUTHBEARER: where a token is had for the client's id and secret"
    )
    sasl_token_scope: str | None = Field(default=None, description="asked for at sasl_token_url")
    sasl_plaintext_allowed: bool = Field(
        default=False, description="SASL_PLAINTEXT to other machines: whoever listens can read along"
    )
    ssl_cafile: Path | None = Field(
        default=None, description="who signs the brokers' certificates; none: the system's"
    )
    ssl_certfile: Path | None = Field(default=None, description="our own certificate, for mutual TLS")
    ssl_keyfile: Path | None = Field(default=None, description="its key; none: in ssl_certfile")
    ssl_key_password: SecretStr | None = None
    ssl_key_password_file: Path | None = None
    group_id: str = Field(default="forestay", description="consumer group of the workers")
    group_instance_id: str | None = Field(default=None, description="static membership; the pod's ordinal")
    session_timeout_seconds: float = Field(default=15, ge=1, le=300)
    rebalance_timeout_seconds: float = Field(default=60, ge=1, le=600)
    request_timeout_seconds: float = Field(default=30, ge=1, le=600)
    fetch_wait_seconds: float = Field(
        default=0.25, gt=0, le=30, description="how long the broker may hold a fetch that finds nothing"
    )
    idempotent_producer: bool = Field(default=True, description="off only for a broker that cannot (the embedded)")
    fencing: bool = Field(
        default=True,
        description="who takes a partition over shuts a stalled owner out; needs idempotent_producer, and a broker"
        " with transactions",
    )

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        _check(self)
        return self

    @property
    def fenced(self) -> bool:
        """Says whether partitions are fenced: by producer ids, which only an idempotent producer has."""
        return self.fencing and self.idempotent_producer

    @property
    def password(self) -> str | None:
        """Returns sasl_password, from its file if one is named.

        Raises:
            ConfigurationError: the file cannot be read.
        """
        return access.secret("kafka.sasl_password", self.sasl_password, self.sasl_password_file)

    @property
    def key_password(self) -> str | None:
        """Returns ssl_key_password, from its file if one is named.

        Raises:
            ConfigurationError: the file cannot be read.
        """
        return access.secret("kafka.ssl_key_password", self.ssl_key_password, self.ssl_key_password_file)


def _check(kafka: KafkaSettings) -> None:
    """Refuses ways of access that cannot work, or that would send a password where anyone can read it.

    Raises:
        ValueError: says which settings.
    """
    access.one_of(kafka, "sasl_password", "sasl_password_file")
    access.one_of(kafka, "ssl_key_password", "ssl_key_password_file")
    access.one_of(kafka, "sasl_token_file", "sasl_token_url")
    protocol = kafka.security_protocol
    if not protocol.endswith("SSL") and (kafka.ssl_cafile or kafka.ssl_certfile or kafka.ssl_keyfile):
        raise ValueError(
            f"{protocol} encrypts nothing, but ssl_ files are set: set security_protocol to SSL or SASL_SSL"
        )
    if kafka.ssl_keyfile is not None and kafka.ssl_certfile is None:
        raise ValueError("ssl_keyfile needs ssl_certfile: a key without its certificate is of no use")
    if protocol.startswith("SASL"):
        _check_credentials(kafka)
    elif kafka.sasl_username or kafka.sasl_password or kafka.sasl_password_file or kafka.sasl_token_file:
        raise ValueError(
            f"{protocol} sends no credentials, but sasl_ settings are made: set security_protocol to SASL_SSL, or"
            " unset them"
        )
    if protocol == "SASL_PLAINTEXT" and not kafka.sasl_plaintext_allowed:
        _check_nobody_listens(kafka.bootstrap_servers)


def _check_credentials(kafka: KafkaSettings) -> None:
    password = kafka.sasl_password or kafka.sasl_password_file
    if kafka.sasl_mechanism != "OAUTHBEARER":
        if not (kafka.sasl_username and password):
            raise ValueError(
                f"{kafka.security_protocol} needs sasl_username and sasl_password_file (or sasl_password)"
            )
        return
    if kafka.sasl_token_url is None:
        if kafka.sasl_token_file is None:
            raise ValueError(
                "OAUTHBEARER needs sasl_token_file, or sasl_token_url with sasl_username and sasl_password_file"
            )
        return
    if not (kafka.sasl_username and password):
        raise ValueError("sasl_token_url needs the client's id as sasl_username, its secret as sasl_password_file")
    url = urlsplit(kafka.sasl_token_url)
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc:
        raise ValueError("sasl_token_url must be https://host/path, without a password in it")
    if url.scheme == "http" and not access.is_loopback(url.hostname):
        raise ValueError("sasl_token_url must be https: the client's secret is sent there")


def _check_nobody_listens(bootstrap_servers: str) -> None:
    for server in bootstrap_servers.split(","):
        if not access.is_loopback(server.rpartition(":")[0] or server):
            raise ValueError(
                f"SASL_PLAINTEXT to {server} would let anyone on the way read along: use SASL_SSL, or, where"
                " something else encrypts, say so with sasl_plaintext_allowed=true"
            )
