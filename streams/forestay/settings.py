"""All settings: from flags, the environment (`FORESTAY_*`), a YAML file, and defaults, in this order.

Nested names are joined by two underscores: `FORESTAY_KAFKA__BOOTSTRAP_SERVERS`. The file is
`forestay.yaml` in the current folder, or the one `FORESTAY_CONFIG` names.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from forestay.core.errors import ConfigurationError
from forestay.core.event import EVENT_CODES
from forestay.core.rules import Rules
from forestay.core.units import DAY, MINUTE
from forestay_schemas.types import EventName

CONFIG_VARIABLE = "FORESTAY_CONFIG"
DEFAULT_CONFIG = Path("forestay.yaml")
DEFAULT_CATALOGUE = Path(__file__).parent / "catalogue.yaml"


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _without_spaces(servers: str) -> str:
    return "".join(servers.split())


class KafkaSettings(_Group):
    """How to reach Kafka."""

    bootstrap_servers: Annotated[str, AfterValidator(_without_spaces)] = Field(
        default="127.0.0.1:9092", description="host:port, several joined by commas"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    group_id: str = Field(default="forestay", description="consumer group of the workers")
    group_instance_id: str | None = Field(default=None, description="static membership; the pod's ordinal")
    session_timeout_seconds: float = Field(default=15, ge=1, le=300)
    rebalance_timeout_seconds: float = Field(default=60, ge=1, le=600)
    request_timeout_seconds: float = Field(default=30, ge=1, le=600)
    fetch_wait_seconds: float = Field(
        default=0.25, gt=0, le=30, description="how long the broker may hold a fetch that finds nothing"
    )
    idempotent_producer: bool = Field(default=True, description="off only for a broker that cannot (the embedded)")

    @model_validator(mode="after")
    def _credentials_present(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            raise ValueError(f"{self.security_protocol} needs sasl_username and sasl_password")
        return self


class TopicSettings(_Group):
    """Names of the topics, and how they are declared."""

    clickstream: str = "clickstream"
    clock: str = "forestay-clock"
    actions: str = "retention-actions"
    decisions: str = "retention-decisions"
    dead_letters: str = "clickstream-dlq"
    state: str = "forestay-user-state-changelog"
    partitions: int = Field(default=4, ge=1, le=10_000, description="of every topic, when declared")
    replication_factor: int = Field(default=1, ge=1, le=10)

    @property
    def names(self) -> tuple[str, ...]:
        """Returns all topic names: sources first, then outputs, then state."""
        return (self.clickstream, self.clock, self.actions, self.decisions, self.dead_letters, self.state)


class TritonSettings(_Group):
    """How to reach the model."""

    url: str = Field(default="127.0.0.1:8001", description="host:port of Triton's gRPC service")
    model: str = "churn_transformer"
    deadline_seconds: float = Field(default=0.5, gt=0, le=60, description="then the ladder's next rung answers")
    max_in_flight: int = Field(default=4, ge=1, le=1_000, description="most calls under way at once")
    breaker_failures: int = Field(default=5, ge=1, description="failures in a row that open the circuit")
    breaker_seconds: float = Field(default=5, gt=0, le=600, description="before an open circuit is tried again")
    tls: bool = False
    ca_file: Path | None = None


class ClockSource(StrEnum):
    """Who tells a quiet partition the time."""

    WALL = "wall"
    NONE = "none"


class EngineSettings(_Group):
    """When to score, and what a record may be."""

    score_on: frozenset[EventName] = Field(default=frozenset(EventName), description="events that ask for a score")
    score_interval_minutes: float = Field(default=60, ge=0, description="least event time between two, a user")
    score_max_age_days: float = Field(default=7, ge=0, description="how old a score may stand in for the model")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None, description="the shop's; events in another go to the dead letters"
    )
    dead_letter_limit: float = Field(default=0.5, gt=0, le=1, description="share of failing records that stops it")

    @field_serializer("score_on")
    def _in_order(self, names: frozenset[EventName]) -> list[str]:
        return sorted(names)

    def rules(self) -> Rules:
        """Returns these settings in the core's units."""
        return Rules(
            score_on=frozenset(EVENT_CODES[name] for name in self.score_on),
            score_interval=round(self.score_interval_minutes * MINUTE),
            score_max_age=round(self.score_max_age_days * DAY),
            currency=self.currency,
            dead_letter_limit=self.dead_letter_limit,
        )


class WorkerSettings(_Group):
    """How a worker runs."""

    commit_interval_seconds: float = Field(default=1.0, gt=0, le=60)
    batch_records: int = Field(default=500, ge=1, le=10_000, description="most records of a partition at once")
    barrier_deadline_seconds: float = Field(default=10, gt=0, le=300, description="for outputs to become durable")
    shutdown_deadline_seconds: float = Field(default=20, gt=0, le=600, description="from SIGTERM to the exit")
    clock: ClockSource = Field(
        default=ClockSource.WALL, description="wall: silences come due by real time; none: by recorded time"
    )
    clock_interval_seconds: float = Field(default=5.0, gt=0, le=3_600)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def handover_seconds(self) -> float:
        """Returns how much of the shutdown the last batch and its barrier may take."""
        return 0.8 * self.shutdown_deadline_seconds

    @model_validator(mode="after")
    def _barrier_within_shutdown(self) -> Self:
        if self.barrier_deadline_seconds >= self.handover_seconds:
            raise ValueError("barrier_deadline_seconds must be less than 0.8 of shutdown_deadline_seconds")
        return self


class Settings(BaseSettings):
    """Everything that can be set. `forestay config` prints what is in force."""

    model_config = SettingsConfigDict(
        env_prefix="FORESTAY_", env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    triton: TritonSettings = TritonSettings()
    engine: EngineSettings = EngineSettings()
    worker: WorkerSettings = WorkerSettings()
    catalogue: Path = Field(default=DEFAULT_CATALOGUE, description="YAML file with the offers")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Puts the YAML file below the environment."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=config_file())


def config_file() -> Path | None:
    """Returns the settings file in use, None if there is none."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def cannot_work(what: str, error: ValidationError) -> ConfigurationError:
    """Returns the error that says which values of `what` fail their contract, a line each."""
    lines = [f"  {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)]
    return ConfigurationError(f"{what} cannot work:\n" + "\n".join(lines))


def load_settings(**overrides: Any) -> Settings:
    """Returns the settings in force, `overrides` (from flags) first.

    Raises:
        ConfigurationError: a value is out of its range, a name is unknown, or the named file is missing.
    """
    file = config_file()
    if file is not None and not file.is_file():
        raise ConfigurationError(f"{CONFIG_VARIABLE} names {file}, which is not a file")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise cannot_work("the settings", error) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"the settings file {file} is not YAML: {error}") from error
    except SettingsError as error:
        raise ConfigurationError(f'{error}: write lists as JSON, for instance ["purchase"]') from error
    except ValueError as error:
        raise ConfigurationError(f"the settings file {file} holds no names and values: {error}") from error
