"""The versions of a model as Triton serves them: which answers, which is tried, and what each says."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from forestay.core.decision.answer import ModelIdentity
from forestay.core.decision.model_input import INPUT_DIGEST
from forestay.core.errors import ConfigurationError
from forestay.core.units import DAY, HOUR
from forestay.shell.scoring.rollout import Rollout, version_facts
from forestay.shell.triton_clients import declared_parameters

OUTPUT: Final = "churn_probability"
#: Contributions to the log-odds by group of features, and the curve behind the probability: told by some models.
CONTRIBUTIONS: Final = "contributions"
SURVIVAL: Final = "survival"
#: What the model has made of the user: told by some models, and asked for where the policy reads it.
EMBEDDING: Final = "user_embedding"
#: The inputs that have a step axis.
STEP_INPUTS: Final = ("step_tokens", "step_numbers")


class Version(NamedTuple):
    """One version, and what it can be asked for."""

    #: What Triton calls it; empty where a model of one version leaves that to Triton.
    number: str
    model: ModelIdentity
    #: Names of the columns of `CONTRIBUTIONS`; none where it is not told.
    groups: tuple[str, ...] = ()
    #: Edges of the curve `SURVIVAL`; none where it is not told.
    hours: tuple[int, ...] = ()
    #: Whether it takes fewer than 64 steps a user: then padding is cut off.
    any_length: bool = False
    #: What drift is watched against (docs/watch.md).
    reference: str | None = None
    #: Whether it has an embedding of a user.
    embeds: bool = False

    def outputs(self, *, embedding: bool = False) -> list[str]:
        """Returns the outputs to ask for; the embedding where it is wanted and there is one."""
        extra = ((CONTRIBUTIONS, self.groups), (SURVIVAL, self.hours), (EMBEDDING, embedding and self.embeds))
        return [OUTPUT, *(name for name, columns in extra if columns)]

    @classmethod
    def of(
        cls, number: str, facts: Mapping[str, str], name: str, outputs: frozenset[str], *, any_length: bool = False
    ) -> Self:
        """Returns a version from what it says of itself; `outputs` are those Triton gives of it.

        Raises:
            ConfigurationError: it was trained on another input than this code makes, or does not say what it is.
        """
        digest = facts.get("input_digest")
        if digest != INPUT_DIGEST:
            raise ConfigurationError(
                f"model {name} was trained on input {digest}, this worker makes {INPUT_DIGEST}: serve the model that"
                " belongs to this version (`forestay model list`), or train it again with `forestay train`"
            )
        try:
            identity = ModelIdentity(name, facts["model_version"], int(facts["horizon_days"]))
            hours = tuple(_hours(text) for text in _listed(facts, "horizons")) if SURVIVAL in outputs else ()
        except (KeyError, ValueError) as error:
            declared = json.dumps(dict(facts))
            raise ConfigurationError(f"model {name} declares no {error} in its config.pbtxt: {declared}") from error
        groups = _listed(facts, "groups") if CONTRIBUTIONS in outputs else ()
        return cls(number, identity, groups, hours, any_length, facts.get("reference"), EMBEDDING in outputs)


class Served(NamedTuple):
    """All versions that are asked."""

    current: Version
    #: Tried on the users for whom `rollout.is_canary` says so.
    canary: Version | None = None
    #: Asked along, without a say.
    shadow: Version | None = None
    #: None where the model declares none.
    rollout: Rollout | None = None
    #: Why a canary or shadow is left out.
    faults: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Mapping[str, Any], name: str) -> Self:
        """Returns what a model's configuration, as JSON from the server, declares.

        Raises:
            ConfigurationError: the current version was trained on another input, or does not say what it is.
        """
        parameters = declared_parameters(dict(config))
        outputs = frozenset(output["name"] for output in config.get("output", ()))
        any_length = _any_length(config)
        rollout = Rollout.of(parameters)
        if rollout is None:
            return cls(Version.of("", parameters, name, outputs, any_length=any_length))

        def version(number: int) -> Version:
            return Version.of(
                str(number), version_facts(parameters, number, rollout.current), name, outputs, any_length=any_length
            )

        faults: list[str] = []

        def tried(number: int | None) -> Version | None:
            try:
                return None if number is None else version(number)
            except ConfigurationError as error:
                faults.append(str(error))
                return None

        canary, shadow = tried(rollout.canary), tried(rollout.shadow)
        return cls(version(rollout.current), canary, shadow, rollout, tuple(faults))

    def told(self) -> dict[str, Any]:
        """Returns it for machines."""
        tried = {"current": self.current, "canary": self.canary, "shadow": self.shadow}
        versions = {state: None if one is None else one.model.version for state, one in tried.items()}
        return versions | {"rollout": None if self.rollout is None else self.rollout._asdict()}


def identity(config: Mapping[str, Any], name: str) -> ModelIdentity:
    """Returns which model answers, as its configuration declares it.

    Raises:
        ConfigurationError: it was trained on another input than this code makes, or does not say.
    """
    return Served.of(config, name).current.model


def _any_length(config: Mapping[str, Any]) -> bool:
    """Says whether the steps' axis is left open: Triton's -1, as JSON a text."""
    steps = [int(entry["dims"][0]) for entry in config.get("input", ()) if entry["name"] in STEP_INPUTS]
    return steps == [-1] * len(STEP_INPUTS)


def _listed(facts: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(text.strip() for text in facts.get(name, "").split(",") if text.strip())


def _hours(text: str) -> int:
    """Returns an edge, `12h` or `7d`, in hours."""
    units = {"h": 1, "d": DAY // HOUR}
    if text[-1:] not in units:
        raise ValueError(f"horizons as 12h or 7d, but {text!r}")
    return int(text[:-1]) * units[text[-1]]
