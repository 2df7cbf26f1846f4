"""All settings: groups by what they are about, and from where they are loaded (`settings/loading.py`)."""

from forestay.settings.connections import (
    TOPIC_ROLES,
    TopicSettings,
    TritonSettings,
    WebSettings,
)
from forestay.settings.engine import (
    BudgetSettings,
    EngineSettings,
    FeatureSettings,
    WindowSettings,
)
from forestay.settings.jobs import (
    AdapterSettings,
    CatalogueSource,
    ClockSource,
    FormatSettings,
    RecordSettings,
    ValueFormat,
    WorkerSettings,
)
from forestay.settings.kafka import KafkaSettings
from forestay.settings.loading import (
    CONFIG_VARIABLE,
    DEFAULT_CATALOGUE,
    DEFAULT_CONFIG,
    Settings,
    cannot_work,
    config_file,
    load_settings,
    setting_names,
)
from forestay.settings.watch import WatchSettings

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_CATALOGUE",
    "DEFAULT_CONFIG",
    "TOPIC_ROLES",
    "AdapterSettings",
    "BudgetSettings",
    "CatalogueSource",
    "ClockSource",
    "EngineSettings",
    "FeatureSettings",
    "FormatSettings",
    "KafkaSettings",
    "RecordSettings",
    "Settings",
    "TopicSettings",
    "TritonSettings",
    "ValueFormat",
    "WatchSettings",
    "WebSettings",
    "WindowSettings",
    "WorkerSettings",
    "cannot_work",
    "config_file",
    "load_settings",
    "setting_names",
]
