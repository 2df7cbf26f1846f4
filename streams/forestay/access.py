"""What settings of access have in common: secrets from files, and combinations that would let too much out or in."""

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from forestay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forestay.settings import KafkaSettings

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


def check(kafka: "KafkaSettings") -> None:
    """Refuses ways of access that cannot work, or that would send a password where anyone can read it.

    Raises:
        ValueError: says which settings.
    """
    one_of(kafka, "sasl_password", "sasl_password_file")
    one_of(kafka, "ssl_key_password", "ssl_key_password_file")
    one_of(kafka, "sasl_token_file", "sasl_token_url")
    protocol = kafka.security_protocol
    if not protocol.endswith("SSL") and (kafka.ssl_cafile or kafka.ssl_certfile or kafka.ssl_keyfile):
        raise ValueError(
            f"{protocol} encrypts nothing, but ssl_ files are set: set security_protocol to SSL or SASL_SSL"
        )
    if kafka.ssl_keyfile is not None and kafka.ssl_certfile is None:
        raise ValueError("ssl_keyfile needs ssl_certfile: a key without its certificate is of no use")
    if protocol.startswith("SASL"):
        _check_credentials(kafka)
    elif kafka.sasl_username or kafka.sasl_password or kafka.sasl_password_file or kafka.sasl_token_file:
        raise ValueError(
            f"{protocol} sends no credentials, but sasl_ settings are made: set security_protocol to SASL_SSL, or"
            " unset them"
        )
    if protocol == "SASL_PLAINTEXT" and not kafka.sasl_plaintext_allowed:
        _check_nobody_listens(kafka.bootstrap_servers)


def _check_credentials(kafka: "KafkaSettings") -> None:
    password = kafka.sasl_password or kafka.sasl_password_file
    if kafka.sasl_mechanism != "OAUTHBEARER":
        if not (kafka.sasl_username and password):
            raise ValueError(
                f"{kafka.security_protocol} needs sasl_username and sasl_password_file (or sasl_password)"
            )
        return
    if kafka.sasl_token_url is None:
        if kafka.sasl_token_file is None:
            raise ValueError(
                "OAUTHBEARER needs sasl_token_file, or sasl_token_url with sasl_username and sasl_password_file"
            )
        return
    if not (kafka.sasl_username and password):
        raise ValueError("sasl_token_url needs the client's id as sasl_username, its secret as sasl_password_file")
    url = urlsplit(kafka.sasl_token_url)
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc:
        raise ValueError("sasl_token_url must be https://host/path, without a password in it")
    if url.scheme == "http" and not is_loopback(url.hostname):
        raise ValueError("sasl_token_url must be https: the client's secret is sent there")


def _check_nobody_listens(bootstrap_servers: str) -> None:
    for server in bootstrap_servers.split(","):
        if not is_loopback(server.rpartition(":")[0] or server):
            raise ValueError(
                f"SASL_PLAINTEXT to {server} would let anyone on the way read along: use SASL_SSL, or, where"
                " something else encrypts, say so with sasl_plaintext_allowed=true"
            )
