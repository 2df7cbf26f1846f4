"""Connection options of the Kafka clients from one group of settings."""

import ssl
from typing import Any

from forestay.settings import KafkaSettings


def connection_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Returns what kafka-python's and aiokafka's clients need to connect; the two name it alike."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "security_protocol": kafka.security_protocol,
        "request_timeout_ms": round(kafka.request_timeout_seconds * 1000),
    }
    if "SSL" in kafka.security_protocol:
        options["ssl_context"] = ssl_context(kafka)
    return options | _sasl(kafka)


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """Returns a context that verifies the broker's certificate and host name."""
    context = ssl.create_default_context(cafile=kafka.ssl_cafile)
    if kafka.ssl_certfile is not None:
        context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile)
    return context


def _sasl(kafka: KafkaSettings) -> dict[str, Any]:
    if not kafka.security_protocol.startswith("SASL") or kafka.sasl_password is None:
        return {}
    return {
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": kafka.sasl_password.get_secret_value(),
    }
