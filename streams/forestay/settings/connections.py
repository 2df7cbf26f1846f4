"""Topics, Triton, and the worker's own web port."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import (
    Field,
    SecretStr,
    model_validator,
)

from forestay import access
from forestay.core.sources import Sources
from forestay.settings.group import Group

#: What the topics of users are for: sources first, then outputs, then state. That of the catalogue is none of them:
#: it has one partition, whatever these have.
TOPIC_ROLES: Final = (
    "clickstream",
    "clock",
    "identity",
    "feedback",
    "budget",
    "actions",
    "decisions",
    "outcomes",
    "dead_letters",
    "features",
    "ledger",
    "state",
)


class TopicSettings(Group):
    """Names of the topics, and how they are declared."""

    clickstream: str = "clickstream"
    clock: str = "forestay-clock"
    actions: str = "retention-actions"
    decisions: str = "retention-decisions"
    outcomes: str = "retention-outcomes"
    feedback: str = "action-feedback"
    dead_letters: str = "clickstream-dlq"
    features: str = "forestay-features"
    ledger: str = "forestay-ledger"
    identity: str = "forestay-identity"
    budget: str = "forestay-budget"
    state: str = "forestay-user-state-changelog"
    catalogue: str = Field(default="forestay-catalogue", description="of one partition: worker.catalogue_source")
    partitions: int = Field(
        default=4, ge=1, le=10_000, description="of every topic but the catalogue's, when declared"
    )
    partitioner: Literal["murmur2", "crc32"] = Field(
        default="murmur2", description="how clickstream's producers choose a key's partition (librdkafka: crc32)"
    )
    replication_factor: int = Field(default=1, ge=1, le=10)

    @property
    def names(self) -> tuple[str, ...]:
        """Returns the names of all topics of users, in the order of `TOPIC_ROLES`."""
        return tuple(getattr(self, role) for role in TOPIC_ROLES)

    @property
    def sources(self) -> Sources:
        """Returns the topics a partition reads."""
        return Sources(self.clickstream, self.clock, self.identity, self.feedback, self.budget)


class TritonSettings(Group):
    """How to reach the model."""

    url: str = Field(default="127.0.0.1:8001", description="host:port of Triton's gRPC service")
    model: str = "churn_transformer"
    deadline_seconds: float = Field(default=0.5, gt=0, le=60, description="then the ladder's next rung answers")
    max_in_flight: int = Field(default=4, ge=1, le=1_000, description="most calls under way at once")
    breaker_failures: int = Field(default=5, ge=1, description="failures in a row that open the circuit")
    breaker_seconds: float = Field(default=5, gt=0, le=600, description="before an open circuit is tried again")
    tls: bool = Field(default=False, description="docs/security.md")
    ca_file: Path | None = Field(default=None, description="who signs Triton's certificate; none: gRPC's own list")
    cert_file: Path | None = Field(default=None, description="our own certificate, for mutual TLS")
    key_file: Path | None = Field(default=None, description="its key, not encrypted")
    server_name: str | None = Field(
        default=None, description="in Triton's certificate, if other than the host in url"
    )

    @model_validator(mode="after")
    def _tls_whole(self) -> Self:
        if not self.tls and (self.ca_file or self.cert_file or self.key_file or self.server_name):
            raise ValueError(
                "ca_file, cert_file, key_file and server_name need tls=true: without, nothing is encrypted"
            )
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file are set together")
        return self


class WebSettings(Group):
    """The worker's own web port: whether it lives and is ready (docs/security.md)."""

    port: int | None = Field(default=None, ge=0, le=65_535, description="none: no web port; 0: any that is free")
    host: str = Field(default="127.0.0.1", description="other than loopback needs a token")
    token: SecretStr | None = Field(default=None, description="asked for as `Authorization: Bearer ...`")
    token_file: Path | None = Field(default=None, description="read at the start")

    @model_validator(mode="after")
    def _not_open_to_all(self) -> Self:
        access.one_of(self, "token", "token_file")
        if self.port is not None and not access.is_loopback(self.host) and not (self.token or self.token_file):
            raise ValueError(
                f"host {self.host} is open to other machines: set token_file (or token), or host 127.0.0.1"
            )
        return self

    @property
    def secret(self) -> str | None:
        """Returns the token, from its file if one is named.

        Raises:
            ConfigurationError: the file cannot be read.
        """
        return access.secret("web.token", self.token, self.token_file)
