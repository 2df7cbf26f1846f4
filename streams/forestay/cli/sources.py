"""Where each setting comes from."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource, YamlConfigSettingsSource

from forestay.settings import Settings, config_file


class Row(NamedTuple):
    """One setting: dotted name, value as text, source, meaning."""

    name: str
    value: str
    source: str
    meaning: str


def settings_table(settings: Settings, flags: Mapping[str, Any]) -> list[Row]:
    """Returns every setting in force with its source; `flags` holds what flags set, nested."""
    file = config_file()
    sources: list[tuple[str, set[str]]] = [
        ("flag", set(_names(flags))),
        ("environment", set(_names(EnvSettingsSource(Settings)()))),
        ("file", set(_names(YamlConfigSettingsSource(Settings, yaml_file=file)())) if file else set()),
    ]
    meanings = dict(_meanings(Settings))
    rows = []
    for name, value in _leaves(settings.model_dump(mode="json")):
        source = next((label for label, named in sources if _named(name, named)), "default")
        rows.append(Row(name, _text(value), source, meanings.get(name, "")))
    return rows


def _named(name: str, named: set[str]) -> bool:
    """Says whether `name` or, where a source gives a whole group as JSON, a part of it is among `named`."""
    return any(name == other or other.startswith(f"{name}.") for other in named)


def _names(content: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, _ in _leaves(content, prefix):
        yield name


def _leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _meanings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _meanings(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.description or ""


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(sorted(str(item) for item in value))
    return "" if value is None else str(value)
