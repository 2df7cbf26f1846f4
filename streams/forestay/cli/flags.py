"""The common flags, and the settings they lead to."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from forestay.settings import Settings


class Flags(NamedTuple):
    """What the common flags say; None where one is not given."""

    bootstrap_servers: str | None
    triton_url: str | None
    assignments: tuple[str, ...]
    config_file: Path | None = None

    def overrides(self) -> dict[str, Any]:
        """Returns the settings the flags name, nested as the settings are.

        Raises:
            UsageError: an assignment is not NAME=VALUE.
        """
        found: dict[str, Any] = {}
        for assignment in self.assignments:
            name, value = split_assignment(assignment)
            put(found, name, value)
        if self.bootstrap_servers is not None:
            put(found, "kafka.bootstrap_servers", self.bootstrap_servers)
        if self.triton_url is not None:
            put(found, "triton.url", self.triton_url)
        return found


def split_assignment(assignment: str, flag: str = "--set") -> tuple[str, Any]:
    """Returns name and value of the `NAME=VALUE` of a flag; what looks like a JSON list or object is read as one.

    Raises:
        UsageError: there is no name, no `=`, or what looks like JSON is not.
    """
    from forestay.core.errors import UsageError

    name, equals, value = assignment.partition("=")
    if not name or not equals:
        raise UsageError(f"{flag} {name}: write it as NAME=VALUE, for instance worker.clock=none")
    if not value.startswith(("[", "{")):
        return name, value
    try:
        return name, json.loads(value)
    except ValueError as error:
        # The value may be a password: it is not shown.
        raise UsageError(f"{flag} {name}: the value is not JSON: {error}") from error


def put(settings: dict[str, Any], name: str, value: Any, flag: str = "--set") -> None:
    """Puts `value`, given by `flag`, under the dotted `name` into nested dictionaries.

    Raises:
        UsageError: a part of the name already holds a plain value.
    """
    from forestay.core.errors import UsageError

    *groups, last = name.split(".")
    for group in groups:
        settings = settings.setdefault(group, {})
        if not isinstance(settings, dict):
            raise UsageError(f"{flag} {name}: {group} is a value, not a group of settings")
    settings[last] = value


def flags_of(ctx: typer.Context) -> Flags:
    """Returns the common flags of the command being run."""
    flags = ctx.find_object(Flags)
    return flags if flags is not None else Flags(None, None, ())


def local_overrides(ctx: typer.Context) -> dict[str, Any]:
    """Returns the settings the flags name, for a command that brings a broker and a Triton of its own.

    Raises:
        typer.BadParameter: the flags name others.
        ConfigurationError: an assignment is not NAME=VALUE.
    """
    flags = flags_of(ctx)
    if flags.bootstrap_servers is not None or flags.triton_url is not None:
        raise typer.BadParameter(
            f"`forestay {ctx.info_name}` brings a broker and a Triton of its own; with yours, run `forestay worker`"
        )
    return flags.overrides()


def settings_of(ctx: typer.Context) -> "Settings":
    """Returns the settings in force for the command being run.

    Raises:
        ConfigurationError: they cannot work.
    """
    from forestay.settings import load_settings

    return load_settings(**flags_of(ctx).overrides())


def use_config(file: Path | None) -> None:
    """Makes `file` the settings file of this process and of those it starts.

    Raises:
        ConfigurationError: it is not there.
    """
    if file is None:
        return
    from forestay.core.errors import ConfigurationError
    from forestay.settings import CONFIG_VARIABLE

    if not file.is_file():
        raise ConfigurationError(f"--config {file}: there is no such file")
    os.environ[CONFIG_VARIABLE] = str(file)
