"""What the engine keeps and when it acts."""

from typing import Annotated, Self

from pydantic import (
    Field,
    field_serializer,
    model_validator,
)

from forestay.core.event import EVENT_CODES
from forestay.core.families.windows import MAX_BUCKETS, WINDOWS, Window, nested
from forestay.core.feature_set import FAMILY_NAMES, FeatureSet
from forestay.core.feature_stream import FeatureStream
from forestay.core.patterns.patterns import PatternRules
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, MINUTE, SECOND
from forestay.settings.group import Group
from forestay_schemas.types import EventName


class EngineSettings(Group):
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
    reward_horizon_days: float = Field(
        default=28,
        ge=0,
        le=365,
        description="how long a decision's outcome is waited for; 0: not (docs/rewards.md)",
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
            reward_horizon=round(self.reward_horizon_days * DAY),
            features=features.feature_set(),
            feature_stream=features.stream(),
            patterns=patterns,
        )


class BudgetSettings(Group):
    """Whether what is left of budgets moves between partitions (docs/budgets.md)."""

    moves: bool = Field(default=False, description="what is left of budgets moves, and they have one price")
    interval_seconds: float = Field(
        default=60, ge=1, le=86_400, description="event time between two reports of a partition to the treasurer"
    )

    @property
    def interval(self) -> int:
        """Returns the time between two reports in milliseconds, 0 where nothing moves."""
        return round(self.interval_seconds * SECOND) if self.moves else 0


class WindowSettings(Group):
    """One window: its name in feature names, and its ring of buckets."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")]
    bucket_seconds: int = Field(ge=1, le=31 * 86_400)
    buckets: int = Field(ge=1, le=MAX_BUCKETS)


class FeatureSettings(Group):
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
