"""The demonstration's settings: the same for everybody, whatever is in their environment and files."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from forestay.demo.stack import merged
from forestay.settings import Settings, cannot_work, setting_names

#: The recording's currency, and time as it was recorded.
_BASE: Final = {
    "kafka": {"group_id": "forestay-demo"},
    "engine": {"currency": "GBP"},
    "worker": {"clock": "none"},
}


class _Given(Settings):
    """Settings that read neither environment nor file."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leaves only what is passed."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def settings_from(overrides: Mapping[str, Any]) -> Settings:
    """Returns the demonstration's settings with `overrides`, nested, on top.

    Raises:
        ConfigurationError: a value is out of its range, or a name is unknown.
    """
    try:
        return _Given(**merged(_BASE, overrides))
    except ValidationError as error:
        raise cannot_work("the settings", error, setting_names()) from error
