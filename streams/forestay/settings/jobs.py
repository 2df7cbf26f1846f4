"""How a worker, the adapter and the recorder run, and what values are written in."""

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    model_validator,
)

from forestay.settings.group import Group


class ClockSource(StrEnum):
    """Who tells a quiet partition the time."""

    WALL = "wall"
    NONE = "none"


class CatalogueSource(StrEnum):
    """Where the catalogue comes from."""

    FILE = "file"
    TOPIC = "topic"


class WorkerSettings(Group):
    """How a worker runs."""

    commit_interval_seconds: float = Field(default=1.0, gt=0, le=60)
    batch_records: int = Field(default=2_000, ge=1, le=10_000, description="most records of a partition at once")
    barrier_deadline_seconds: float = Field(default=10, gt=0, le=300, description="for outputs to become durable")
    shutdown_deadline_seconds: float = Field(default=20, gt=0, le=600, description="from SIGTERM to the exit")
    clock: ClockSource = Field(
        default=ClockSource.WALL, description="wall: silences come due by real time; none: by recorded time"
    )
    clock_interval_seconds: float = Field(default=5.0, gt=0, le=3_600)
    stalled_seconds: float = Field(
        default=60, ge=1, le=3_600, description="/live fails once work waits and nothing has moved for so long"
    )
    catalogue_source: CatalogueSource = Field(
        default=CatalogueSource.FILE, description="topic: the newest in topics.catalogue, else the file"
    )
    catalogue_poll_seconds: float = Field(
        default=1.0, gt=0, le=3_600, description="between two looks at topics.catalogue"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def handover_seconds(self) -> float:
        """Returns how much of the shutdown the last batch and its barrier may take."""
        return 0.8 * self.shutdown_deadline_seconds

    @model_validator(mode="after")
    def _barrier_within_shutdown(self) -> Self:
        if self.barrier_deadline_seconds >= self.handover_seconds:
            raise ValueError("barrier_deadline_seconds must be less than 0.8 of shutdown_deadline_seconds")
        # Decisions, actions, ledger, state and what leaves for other partitions are written one after the other.
        if self.stalled_seconds < 5 * self.barrier_deadline_seconds:
            raise ValueError("stalled_seconds must be at least 5 times barrier_deadline_seconds")
        return self


class ValueFormat(StrEnum):
    """What the values of the clickstream are written in."""

    JSON = "json"
    AVRO = "avro"
    PROTOBUF = "protobuf"


class FormatSettings(Group):
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


class AdapterSettings(Group):
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


class RecordSettings(Group):
    """When `forestay record` ends a file of a recording and begins the next: what is not sealed is fetched again."""

    part_megabytes: float = Field(default=256, ge=1, le=10_000, description="how large a part grows, compressed")
    part_minutes: float = Field(default=60, gt=0, le=10_080, description="how long after its first record it ends")
