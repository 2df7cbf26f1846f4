"""What an experiment is, as the catalogue's YAML has it (docs/experiments.md)."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_serializer, model_validator

from forestay_schemas.types import Identifier, Timestamp, TriggerKind

#: Users of a layer, and of an experiment, fall into so many buckets: shares are exact to 0.01 %.
BUCKETS: Final = 10_000
#: A decision in an experiment is made once for each arm: this bounds what it costs.
MAX_ARMS: Final = 8

#: Settings of the policy that its kind needs.
_OF_THE_KIND: Final = frozenset({"posterior", "rules"})

Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Change(_Part):
    """What an arm does otherwise; with nothing said, the decision is made as outside any experiment."""

    act: bool = Field(default=True, description="false: nothing is done, only noted")
    offers: frozenset[Identifier] | None = Field(default=None, description="these alone may be made")
    policy: dict[str, JsonValue] = Field(default_factory=dict, description="settings of the policy that differ")

    @field_serializer("offers")
    def _in_order(self, chosen: frozenset[str] | None) -> list[str] | None:
        return None if chosen is None else sorted(chosen)


class Arm(_Part):
    """One arm; its weight says how many users it gets beside the others."""

    id: Identifier
    weight: float = Field(default=1, gt=0, le=1_000)
    change: Change = Change()


class Audience(_Part):
    """On which decisions the experiment acts: by what is known before any arm is."""

    triggers: frozenset[TriggerKind] = frozenset(TriggerKind)
    min_probability: Share = 0.0
    countries: frozenset[str] | None = None

    @field_serializer("triggers", "countries")
    def _in_order(self, chosen: frozenset[str] | None) -> list[str] | None:
        return None if chosen is None else sorted(chosen)


class Plan(_Part):
    """What is to be decided by the experiment, said before it begins."""

    users: int = Field(ge=100, le=10**9, description="matured users of all arms at which the last look is taken")
    look_days: float = Field(default=7, ge=1, le=365, description="from one look to the next")
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="chance of a false discovery in the primary metric")
    primary: Literal["ordered", "returned", "net_margin"] = "ordered"
    limits: dict[Literal["complaints", "contacts", "cost"], float] = Field(
        default_factory=lambda: {"complaints": 0.0},
        validate_default=True,
        description="guardrails: by how much a user's mean may rise",
    )


class Experiment(_Part):
    """A question put to users at random. The first arm is the control."""

    id: Identifier
    layer: Identifier = Field(description="experiments of one layer share no user, those of different layers any")
    salt: str = Field(min_length=1, max_length=128, description="another salt deals the users anew")
    room: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(le=BUCKETS)]] = Field(
        default=(0, BUCKETS), description="buckets of the layer it may take: first, and first no more"
    )
    traffic: Share = Field(default=1.0, description="share of its room that takes part; users stay while it grows")
    start: Timestamp = Field(alias="from")
    until: Timestamp
    audience: Audience = Audience()
    arms: list[Arm] = Field(min_length=2, max_length=MAX_ARMS)
    plan: Plan

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.start < self.until:
            message = f"experiment {self.id}: `from` must lie before `until`"
            raise ValueError(message)
        if not self.room[0] < self.room[1]:
            message = (
                f"experiment {self.id}: `room` must be two buckets of 0 to {BUCKETS}, the first below the second"
            )
            raise ValueError(message)
        _unique("arms", [arm.id for arm in self.arms])
        return self

    @property
    def control(self) -> str:
        """Returns the id of the arm the others are compared with."""
        return self.arms[0].id


def check_together(experiments: Sequence[Experiment]) -> None:
    """Checks what no experiment can know alone.

    Raises:
        ValueError: ids or salts repeat, two of one layer share buckets at one time, or two of different layers
            set the same setting of the policy at one time: one of them would go unheeded.
    """
    _unique("experiments", [one.id for one in experiments])
    _unique("salts of experiments", [one.salt for one in experiments])
    for first, second in combinations(experiments, 2):
        if max(first.start, second.start) >= min(first.until, second.until):
            continue
        names = f"experiments {first.id} and {second.id}"
        if first.layer == second.layer:
            if max(first.room[0], second.room[0]) < min(first.room[1], second.room[1]):
                message = f"{names} of layer {first.layer} share buckets at one time: give each a `room` of its own"
                raise ValueError(message)
        elif both := sorted(_policy_settings(first) & _policy_settings(second)):
            message = f"{names} both set policy.{both[0]} at one time: put them into one layer"
            raise ValueError(message)


def _policy_settings(experiment: Experiment) -> set[str]:
    names = {name for arm in experiment.arms for name in arm.change.policy}
    # Each may be sound by itself, and a user in both arms have a kind without what it needs.
    return names | ({"kind"} if names & _OF_THE_KIND else set())


def _unique(what: str, names: Sequence[str]) -> None:
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        message = f"{what} must be unique; repeated: {', '.join(repeated)}"
        raise ValueError(message)
