"""TLS contexts that verify the other side's certificate and host name, and say which file is wrong."""

import ssl
from pathlib import Path

from forestay.core.errors import ConfigurationError


def client_context(ca_file: Path | None, name: str) -> ssl.SSLContext:
    """Returns a context that trusts the authorities in `ca_file` (a setting called `name`), or the system's.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    check_readable(name, ca_file)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{name} names {ca_file}, which holds no certificate in PEM") from error


def add_identity(
    context: ssl.SSLContext, certificate: Path, key: Path | None, password: str | None, names: tuple[str, str]
) -> None:
    """Lets `context` show a certificate of ours; `names` are the settings that name certificate and key.

    Raises:
        ConfigurationError: a file cannot be read, the password is missing or wrong, or key and certificate differ.
    """
    check_readable(names[0], certificate)
    check_readable(names[1], key)
    try:
        # Without a password OpenSSL would ask at the terminal: a worker has none. An empty one opens nothing.
        context.load_cert_chain(certificate, key, password=password or "")
    except (ssl.SSLError, ValueError) as error:
        files = f"{names[0]} ({certificate}) and {names[1]} ({key or 'none: in the certificate file'})"
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            raise ConfigurationError(f"{files} do not belong together: the key is another certificate's") from error
        hidden = (
            "kafka.ssl_key_password_file is wrong, or they are no PEM"
            if password
            else "they are no PEM, or encrypted"
        )
        advice = "" if password else ": name the key's password with kafka.ssl_key_password_file"
        raise ConfigurationError(f"{files} cannot be used: {hidden}{advice}") from error


def check_readable(name: str, file: Path | None) -> None:
    """Checks that a file named by the setting `name` can be read; OpenSSL and gRPC do not say which one cannot.

    Raises:
        ConfigurationError: it cannot.
    """
    if file is None:
        return
    try:
        file.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{name} names {file}: {error.strerror}") from error
