"""Which versions of a model answer whom: what its configuration declares, and a worker learns from Triton alone.

The parameters of `config.pbtxt` hold the roll-out (`rollout.current`, `rollout.canary`, ...). The plain ones
(`model_version`, ...) are what the current version says of itself, which is all that a model of one version has; the
others served have theirs as `version.3.model_version`, ... (docs/shipping.md).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from forestay.core.errors import ConfigurationError
from forestay.core.hashing import unit_interval

_ROLLOUT: Final = "rollout."
_VERSION: Final = "version."


class Rollout(NamedTuple):
    """Which version answers, which a share of the users is tried on, and which only scores along."""

    current: int
    #: Versions that were current before, the last of them last.
    before: tuple[int, ...] = ()
    #: Current until the last promotion or rollback: workers go on with it until they have heard of that.
    former: int | None = None
    shadow: int | None = None
    canary: int | None = None
    #: Of the users, 0 to 1.
    canary_share: float = 0.0
    #: What the share is drawn with: under the same salt a larger share holds all users of a smaller one.
    canary_salt: str = ""
    #: Rises with every change, so that it can be told which one a server has taken.
    revision: int = 0

    @property
    def asked(self) -> tuple[int, ...]:
        """Returns the versions that are asked, in order of number."""
        return tuple(sorted({self.current} | {one for one in (self.shadow, self.canary) if one is not None}))

    def is_canary(self, user_id: str) -> bool:
        """Says whether a user is of the canary's share: always the same answer for the same user, salt and share."""
        return self.canary is not None and unit_interval(self.canary_salt, user_id) < self.canary_share

    def parameters(self) -> dict[str, str]:
        """Returns it as parameters of `config.pbtxt`."""
        told = {"current": str(self.current), "revision": str(self.revision)}
        if self.before:
            told["before"] = ",".join(map(str, self.before))
        if self.former is not None:
            told["former"] = str(self.former)
        if self.shadow is not None:
            told["shadow"] = str(self.shadow)
        if self.canary is not None:
            told |= {
                "canary": str(self.canary),
                "canary_share": repr(self.canary_share),
                "canary_salt": self.canary_salt,
            }
        return {f"{_ROLLOUT}{name}": value for name, value in told.items()}

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Self | None:
        """Returns the roll-out that a model's parameters declare, None where they declare none.

        Raises:
            ConfigurationError: a parameter is not what it should be.
        """
        told = {name.removeprefix(_ROLLOUT): text for name, text in parameters.items() if name.startswith(_ROLLOUT)}
        if "current" not in told:
            return None
        try:
            return cls(
                current=int(told["current"]),
                before=tuple(int(number) for number in told.get("before", "").split(",") if number),
                former=int(told["former"]) if "former" in told else None,
                shadow=int(told["shadow"]) if "shadow" in told else None,
                canary=int(told["canary"]) if "canary" in told else None,
                canary_share=float(told.get("canary_share", "0")),
                canary_salt=told.get("canary_salt", ""),
                revision=int(told.get("revision", "0")),
            )
        except ValueError as error:
            raise ConfigurationError(
                f"the model's config.pbtxt declares a roll-out that cannot be read ({error}):"
                " `forestay model promote` writes it"
            ) from error


def version_facts(parameters: Mapping[str, str], version: int, current: int) -> dict[str, str]:
    """Returns what a version says of itself in the parameters of a model whose current version is `current`."""
    if version == current:
        return {name: text for name, text in parameters.items() if not name.startswith((_ROLLOUT, _VERSION))}
    own = f"{_VERSION}{version}."
    return {name.removeprefix(own): text for name, text in parameters.items() if name.startswith(own)}


def facts_as_parameters(facts: Mapping[str, str], version: int, current: int) -> dict[str, str]:
    """Returns what a version says of itself as parameters of a model whose current version is `current`."""
    return dict(facts) if version == current else {f"{_VERSION}{version}.{name}": facts[name] for name in facts}
