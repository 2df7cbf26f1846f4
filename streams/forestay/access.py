"""What settings of access have in common: secrets from files, and combinations that would let too much out or in."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from forestay.core.errors import ConfigurationError

#: Longest secret taken from a file (bytes): a token of an identity provider has 1 to 8 kB.
_LONGEST: Final = 65_536


class AccessError(ConfigurationError):
    """Kafka or Triton does not let us in, or not to all we need; says what to do."""


def secret(name: str, value: SecretStr | None, file: Path | None) -> str | None:
    """Returns a secret from its setting, or from `file` if that is set, without the line end at its end.

    Raises:
        ConfigurationError: the file cannot be read, is empty, or is no text.
    """
    if file is None:
        return None if value is None else value.get_secret_value()
    return read_secret(f"{name}_file", file)


def read_secret(name: str, file: Path) -> str:
    """Returns the secret in `file`, which the setting `name` names.

    Raises:
        ConfigurationError: it cannot be read, is empty, or is no text.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(_LONGEST + 1).decode()
    except OSError as error:
        raise ConfigurationError(f"{name} names {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name} names {file}, which is not UTF-8 text") from None
    if not (found := text.rstrip("\r\n")) or len(text) > _LONGEST:
        raise ConfigurationError(f"{name} names {file}, which holds no secret: it is empty, or too long")
    return found


def is_loopback(host: str) -> bool:
    """Says whether `host` is this machine and no other can reach it there."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def one_of(settings: Any, *names: str) -> None:
    """Refuses two ways to say the same thing.

    Raises:
        ValueError: more than one of the settings `names` is set.
    """
    if sum(getattr(settings, name) is not None for name in names) > 1:
        raise ValueError(f"{' and '.join(names)} exclude each other")
