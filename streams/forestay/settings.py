"""All settings: from flags, the environment (`FORESTAY_*`), a YAML file, and defaults, in this order.

Nested names are joined by two underscores: `FORESTAY_KAFKA__BOOTSTRAP_SERVERS`. The file is
`forestay.yaml` in the current folder, or the one `FORESTAY_CONFIG` names.
"""

import difflib
import os
import re
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

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

from forestay import access, compiled
from forestay.core.errors import ConfigurationError
from forestay.core.event import EVENT_CODES
from forestay.core.families.windows import MAX_BUCKETS, WINDOWS, Window, nested
from forestay.core.feature_set import FAMILY_NAMES, FeatureSet
from forestay.core.feature_stream import FeatureStream
from forestay.core.partition import Sources
from forestay.core.patterns.patterns import PatternRules
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, MINUTE, SECOND
from forestay.near_names import near_setting, no_such_setting
from forestay.trigger_file import DEFAULT_TRIGGERS
from forestay_schemas.types import EventName

CONFIG_VARIABLE = "FORESTAY_CONFIG"
DEFAULT_CONFIG = Path("forestay.yaml")
DEFAULT_CATALOGUE = Path(__file__).parent / "catalogue.yaml"


class _Group(BaseModel):
    # An error may name a setting, never show its value: it may be a password.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _without_spaces(servers: str) -> str:
    return "".join(servers.split())


class KafkaSettings(_Group):
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

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        access.check(self)
        return self

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


class TopicSettings(_Group):
    """Names of the topics, and how they are declared."""

    clickstream: str = "clickstream"
    clock: str = "forestay-clock"
    actions: str = "retention-actions"
    decisions: str = "retention-decisions"
    dead_letters: str = "clickstream-dlq"
    features: str = "forestay-features"
    identity: str = "forestay-identity"
    state: str = "forestay-user-state-changelog"
    partitions: int = Field(default=4, ge=1, le=10_000, description="of every topic, when declared")
    partitioner: Literal["murmur2", "crc32"] = Field(
        default="murmur2", description="how clickstream's producers choose a key's partition (librdkafka: crc32)"
    )
    replication_factor: int = Field(default=1, ge=1, le=10)

    @property
    def names(self) -> tuple[str, ...]:
        """Returns all topic names: sources first, then outputs, then state."""
        sources = (self.clickstream, self.clock, self.identity)
        return (*sources, self.actions, self.decisions, self.dead_letters, self.features, self.state)

    @property
    def sources(self) -> Sources:
        """Returns the topics a partition reads."""
        return Sources(self.clickstream, self.clock, self.identity)


class TritonSettings(_Group):
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


class WebSettings(_Group):
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


class ClockSource(StrEnum):
    """Who tells a quiet partition the time."""

    WALL = "wall"
    NONE = "none"


class EngineSettings(_Group):
    """When to score, and what a record may be."""

    score_on: frozenset[EventName] = Field(
        default=frozenset(EventName), description="events that ask for a score; with none, nothing is ever scored"
    )
    score_interval_minutes: float = Field(default=60, ge=0, description="least event time between two, a user")
    score_max_age_days: float = Field(default=7, ge=0, description="how old a score may stand in for the model")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None, description="the shop's; events in another go to the dead letters"
    )
    lateness_hours: float = Field(
        default=72, gt=0, le=720, description="how far behind the newest event of its partition an event may come"
    )
    idle_days: float = Field(default=730, gt=180, le=36_500, description="a user silent for longer is forgotten")
    live_users: int = Field(
        default=20_000, ge=1, description="users of a partition held unpacked (4 to 15 kB each); fewer if it has many"
    )
    merge_identities: bool = Field(
        default=True, description="an event with user_id and anonymous_id makes these one user (docs/identity.md)"
    )
    deduplicate: bool = Field(default=True, description="off only where producers send each event once")
    dead_letter_limit: float = Field(default=0.5, gt=0, le=1, description="share of failing records that stops it")

    @field_serializer("score_on")
    def _in_order(self, names: frozenset[EventName]) -> list[str]:
        return sorted(names)

    def rules(self, features: "FeatureSettings", patterns: PatternRules) -> Rules:
        """Returns these settings in the core's units, with the features and triggers of the shop."""
        return Rules(
            score_on=frozenset(EVENT_CODES[name] for name in self.score_on),
            score_interval=round(self.score_interval_minutes * MINUTE),
            score_max_age=round(self.score_max_age_days * DAY),
            currency=self.currency,
            dead_letter_limit=self.dead_letter_limit,
            lateness=round(self.lateness_hours * HOUR),
            idle=round(self.idle_days * DAY),
            live_users=self.live_users,
            deduplicate=self.deduplicate,
            merge_identities=self.merge_identities,
            features=features.feature_set(),
            feature_stream=features.stream(),
            patterns=patterns,
        )


class WindowSettings(_Group):
    """One window: its name in feature names, and its ring of buckets."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")]
    bucket_seconds: int = Field(ge=1, le=31 * 86_400)
    buckets: int = Field(ge=1, le=MAX_BUCKETS)


class FeatureSettings(_Group):
    """Which features are kept, and which are written out as a stream of their own (docs/features.md)."""

    families: tuple[str, ...] = Field(
        default=FAMILY_NAMES, description="those a shop does not use may be switched off; the model needs all"
    )
    windows: tuple[WindowSettings, ...] = Field(
        default=tuple(
            WindowSettings(name=w.name, bucket_seconds=w.bucket // SECOND, buckets=w.buckets) for w in WINDOWS
        ),
        min_length=1,
        max_length=16,
        description="the model needs those of the default",
    )
    emit_on: frozenset[EventName] = Field(
        default=frozenset(), description="events at which the user's features are written to the features topic"
    )
    emit: tuple[str, ...] = Field(default=(), description="the features written; none named: all")

    @field_serializer("emit_on")
    def _in_order(self, names: frozenset[EventName]) -> list[str]:
        return sorted(names)

    @model_validator(mode="after")
    def _known(self) -> Self:
        strange = sorted(set(self.families) - set(FAMILY_NAMES))
        if strange:
            raise ValueError(f"families: {strange[0]} is none of {', '.join(FAMILY_NAMES)}")
        names = [window.name for window in self.windows]
        if len(set(names)) < len(names):
            raise ValueError("two windows have the same name")
        if not nested(self.feature_set().windows):
            raise ValueError(
                "windows stand from short to long: each must reach further back than the one before at any moment,"
                " and its bucket_seconds be a multiple of the other's"
            )
        unknown = sorted(set(self.emit) - set(self.feature_set().names))
        if unknown:
            raise ValueError(f"emit: no feature {unknown[0]} is kept: see `forestay features --list`")
        return self

    def feature_set(self) -> FeatureSet:
        """Returns the features kept."""
        windows = tuple(Window(w.name, w.bucket_seconds * SECOND, w.buckets) for w in self.windows)
        return FeatureSet(self.families, windows)

    def stream(self) -> FeatureStream:
        """Returns what is written out, and when."""
        return FeatureStream(frozenset(EVENT_CODES[name] for name in self.emit_on), self.emit)


class WorkerSettings(_Group):
    """How a worker runs."""

    commit_interval_seconds: float = Field(default=1.0, gt=0, le=60)
    batch_records: int = Field(default=2_000, ge=1, le=10_000, description="most records of a partition at once")
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


class ValueFormat(StrEnum):
    """What the values of the clickstream are written in."""

    JSON = "json"
    AVRO = "avro"
    PROTOBUF = "protobuf"


class FormatSettings(_Group):
    """What values are written in; Avro and Protobuf have their schemas in a registry (docs/formats.md)."""

    clickstream: ValueFormat = ValueFormat.JSON
    registry_url: str | None = Field(default=None, description="http://host:port, with the path of its API if any")
    registry_username: str | None = None
    registry_password: SecretStr | None = None
    registry_ca_file: Path | None = None
    registry_timeout_seconds: float = Field(
        default=10, gt=0, le=300, description="for a schema to be had; then the worker stops, and nothing is skipped"
    )

    @model_validator(mode="after")
    def _registry_reachable(self) -> Self:
        if self.clickstream is not ValueFormat.JSON and self.registry_url is None:
            raise ValueError(f"{self.clickstream} values need registry_url")
        if (self.registry_username is None) != (self.registry_password is None):
            raise ValueError("registry_username and registry_password are set together")
        if self.registry_url is None:
            return self
        url = urlsplit(self.registry_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("registry_url must be http://host:port or https://host:port")
        if "@" in url.netloc:
            raise ValueError("registry_url is printed: put the password into registry_password")
        if url.query or url.fragment:
            raise ValueError("registry_url ends with its path: no ? and no #")
        return self


class AdapterSettings(_Group):
    """How foreign events become click events (`forestay adapt --run`, docs/adapters.md)."""

    topic: str | None = Field(default=None, description="the foreign events' topic")
    profile: str | None = Field(default=None, description="a built-in mapping: `forestay adapt --profiles`")
    mapping: Path | None = Field(default=None, description="a mapping file of your own, instead of a profile")
    group_suffix: str = Field(default="-adapter", min_length=1, description="after kafka.group_id")
    batch_records: int = Field(default=2_000, ge=1, le=10_000, description="most records mapped between two commits")

    @model_validator(mode="after")
    def _one_mapping(self) -> Self:
        if self.profile is not None and self.mapping is not None:
            raise ValueError("profile and mapping exclude each other")
        return self


class RecordSettings(_Group):
    """When `forestay record` ends a file of a recording and begins the next: what is not sealed is fetched again."""

    part_megabytes: float = Field(default=256, ge=1, le=10_000, description="how large a part grows, compressed")
    part_minutes: float = Field(default=60, gt=0, le=10_080, description="how long after its first record it ends")


class Settings(BaseSettings):
    """Everything that can be set. `forestay config` prints what is in force."""

    model_config = SettingsConfigDict(
        env_prefix="FORESTAY_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    triton: TritonSettings = TritonSettings()
    engine: EngineSettings = EngineSettings()
    features: FeatureSettings = FeatureSettings()
    worker: WorkerSettings = WorkerSettings()
    web: WebSettings = WebSettings()
    format: FormatSettings = FormatSettings()
    adapter: AdapterSettings = AdapterSettings()
    record: RecordSettings = RecordSettings()
    catalogue: Path = Field(default=DEFAULT_CATALOGUE, description="YAML file with the offers")
    triggers: Path = Field(default=DEFAULT_TRIGGERS, description="YAML file with the triggers (docs/triggers.md)")

    @model_validator(mode="after")
    def _scoring_has_its_features(self) -> Self:
        if self.engine.score_on and not self.features.feature_set().complete:
            raise ValueError(
                "the model needs all feature families in the windows of the default: set engine.score_on to []"
                " to keep features without scoring"
            )
        return self

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


def cannot_work(what: str, error: ValidationError, names: Collection[str] = ()) -> ConfigurationError:
    """Returns the error that says which values of `what` fail their contract, a line each.

    `names` are all settings' dotted ones, where `what` is the settings: what is none of them is told as such.
    """
    lines = []
    for item in error.errors(include_url=False):
        said = item["msg"].removeprefix("Value error, ")
        if names and item["type"] == "extra_forbidden":
            said = no_such_setting(item["loc"], item["input"], names)
        where = ".".join(map(str, item["loc"]))
        lines.append(f"  {where}: {said}" if where else f"  {said}")
    return ConfigurationError(f"{what} cannot work:\n" + "\n".join(lines))


def _refuse_unknown_variables() -> None:
    """Refuses what looks like a setting and is none: a worker must not start on a default instead of it."""
    known = {CONFIG_VARIABLE, compiled.VARIABLE, *(f"FORESTAY_{name}".upper() for name in Settings.model_fields)}
    for name in sorted(os.environ):
        if name.startswith("FORESTAY_") and name.split("__")[0].upper() not in known:
            near = _near_variable(name)
            hint = f": is {near} meant?" if near else ": `forestay config` prints all settings"
            raise ConfigurationError(f"the variable {name} is no setting{hint}")


def _near_variable(variable: str) -> str | None:
    """Returns the variable that is meant: with a section by the setting's own name, else by all of its letters."""
    asked = variable.removeprefix("FORESTAY_").lower()
    if "__" in asked:
        near = near_setting(asked.replace("__", ".", 1), setting_names())
        if near is not None:
            return _variable(near)
    letters = {re.sub(r"[._]", "", name): name for name in setting_names()}
    found = difflib.get_close_matches(asked.replace("_", ""), letters, n=1, cutoff=0.6)
    return _variable(letters[found[0]]) if found else None


def _variable(name: str) -> str:
    return f"FORESTAY_{name.replace('.', '__')}".upper()


def setting_names() -> list[str]:
    """Returns the dotted names of all settings."""
    names: list[str] = []
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            names.extend(f"{name}.{inner}" for inner in group.model_fields)
        else:
            names.append(name)
    return names


def load_settings(**overrides: Any) -> Settings:
    """Returns the settings in force, `overrides` (from flags) first.

    Raises:
        ConfigurationError: a value is out of its range, a name is unknown, or the named file is missing.
    """
    file = config_file()
    if file is not None and not file.is_file():
        raise ConfigurationError(f"{CONFIG_VARIABLE} names {file}, which is not a file")
    _refuse_unknown_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise cannot_work("the settings", error, setting_names()) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"the settings file {file} is not YAML: {error}") from error
    except SettingsError as error:
        raise ConfigurationError(f'{error}: write lists as JSON, for instance ["purchase"]') from error
    except ValueError as error:
        raise ConfigurationError(f"the settings file {file} holds no names and values: {error}") from error
