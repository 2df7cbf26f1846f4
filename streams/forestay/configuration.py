"""All that decides what the core makes of its records: rules and catalogue, and a digest that names them."""

from typing import Final, NamedTuple

from forestay.catalogue_file import load_catalogue
from forestay.core.clock.timers import LAST_SILENCE
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ConfigurationError
from forestay.core.hashing import identifier
from forestay.core.rules import Rules
from forestay.core.units import DAY
from forestay.settings import Settings
from forestay.trigger_file import load_triggers

#: Bounds memory and changes nothing that comes out.
_WITHOUT_EFFECT: Final = {"live_users"}


class Configuration(NamedTuple):
    """What a partition is made with. `digest` is 32 hexadecimal digits, as in the ledger."""

    rules: Rules
    catalogue: Catalogue
    digest: str
    #: What the digest is over, but for the catalogue.
    parts: tuple[str, ...] = ()

    def under(self, catalogue: Catalogue) -> "Configuration":
        """Returns the same with another catalogue."""
        return self._replace(catalogue=catalogue, digest=identifier(*self.parts, catalogue.model_dump_json()))


def load_configuration(settings: Settings) -> Configuration:
    """Reads the files that `settings` name.

    Raises:
        ConfigurationError: the catalogue or the triggers cannot work.
    """
    catalogue, triggers = load_catalogue(settings.catalogue), load_triggers(settings.triggers)
    rules = settings.engine.rules(settings.features, triggers.rules())._replace(
        budget_interval=settings.budgets.interval
    )
    check_memory(catalogue, rules)
    parts = (
        settings.engine.model_dump_json(exclude=_WITHOUT_EFFECT),
        settings.features.model_dump_json(),
        *([settings.budgets.model_dump_json()] if settings.budgets.moves else []),
        settings.format.clickstream,
        triggers.model_dump_json(),
    )
    return Configuration(rules, catalogue, "", parts).under(catalogue)


def check_memory(catalogue: Catalogue, rules: Rules) -> None:
    """Makes sure that no user is forgotten whose contacts still count: the last may be made at the last silence.

    And that actions are waited for whose feedback is to be counted.

    Raises:
        ConfigurationError: users are forgotten too soon for the catalogue's windows, or no feedback is taken in.
    """
    if catalogue.switches.automatic and not rules.reward_horizon:
        raise ConfigurationError(
            "switches.automatic counts feedback on actions that are waited for, and engine.reward_horizon_days is 0:"
            " set it to some days, or leave the automatic pauses out"
        )
    needed = catalogue.longest_window_days() + LAST_SILENCE // DAY
    if needed * DAY > rules.idle:
        raise ConfigurationError(
            f"the catalogue counts contacts over {catalogue.longest_window_days():g} days, and a user silent for"
            f" {rules.idle / DAY:g} is forgotten: set engine.idle_days to {needed:g} at least, or shorten the window"
        )
