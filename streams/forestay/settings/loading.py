"""All settings: from flags, the environment (`FORESTAY_*`), a YAML file, and defaults, in this order.

Nested names are joined by two underscores: `FORESTAY_KAFKA__BOOTSTRAP_SERVERS`. The file is
`forestay.yaml` in the current folder, or the one `FORESTAY_CONFIG` names.
"""

import difflib
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from forestay import compiled
from forestay.core.errors import ConfigurationError
from forestay.near_names import near_setting, no_such_setting
from forestay.settings.connections import TopicSettings, TritonSettings, WebSettings
from forestay.settings.engine import BudgetSettings, EngineSettings, FeatureSettings
from forestay.settings.jobs import AdapterSettings, FormatSettings, RecordSettings, WorkerSettings
from forestay.settings.kafka import KafkaSettings
from forestay.settings.watch import WatchSettings
from forestay.trigger_file import DEFAULT_TRIGGERS

CONFIG_VARIABLE = "FORESTAY_CONFIG"
DEFAULT_CONFIG = Path("forestay.yaml")
DEFAULT_CATALOGUE = Path(__file__).parents[1] / "catalogue.yaml"


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
    budgets: BudgetSettings = BudgetSettings()
    features: FeatureSettings = FeatureSettings()
    worker: WorkerSettings = WorkerSettings()
    web: WebSettings = WebSettings()
    watch: WatchSettings = WatchSettings()
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
