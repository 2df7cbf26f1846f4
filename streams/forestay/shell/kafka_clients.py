"""Connection options of the Kafka clients from one group of settings."""

import ssl
from typing import Any

from forestay.settings import KafkaSettings
from forestay.shell.tls import add_identity, client_context
from forestay.shell.tokens import token_provider


def connection_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Returns what kafka-python's and aiokafka's clients need to connect; the two name it alike.

    Files with secrets and certificates are read now: a client made later takes what is in them then.

    Raises:
        ConfigurationError: such a file cannot be used.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "security_protocol": kafka.security_protocol,
        "request_timeout_ms": round(kafka.request_timeout_seconds * 1000),
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(kafka)
    return options | _sasl(kafka)


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """Returns a context that verifies the broker's certificate and host name.

    Raises:
        ConfigurationError: a file with a certificate or key cannot be used.
    """
    context = client_context(kafka.ssl_cafile, "kafka.ssl_cafile")
    if kafka.ssl_certfile is not None:
        names = ("kafka.ssl_certfile", "kafka.ssl_keyfile")
        add_identity(context, kafka.ssl_certfile, kafka.ssl_keyfile, kafka.key_password, names)
    return context


def _sasl(kafka: KafkaSettings) -> dict[str, Any]:
    if not kafka.security_protocol.startswith("SASL"):
        return {}
    if kafka.sasl_mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": kafka.sasl_mechanism, "sasl_oauth_token_provider": token_provider(kafka)}
    return {
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": kafka.password,
    }
