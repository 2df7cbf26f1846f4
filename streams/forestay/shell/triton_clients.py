"""What Triton's clients, blocking and asynchronous, have in common: how they connect, and what a model declares."""

from typing import Any, Final

from tritonclient.grpc import MAX_GRPC_MESSAGE_SIZE, KeepAliveOptions

from forestay.settings import TritonSettings
from forestay.shell.tls import add_identity, check_readable, client_context

#: The settings that name certificate and key.
_NAMES: Final = ("triton.cert_file", "triton.key_file")
#: What gRPC says of a connection that the other side ended without a word.
_CLOSED: Final = "Socket closed"
#: What it says of a handshake that failed, and what to do; the first that fits counts.
_ADVICE: Final = (
    ("Hostname Verification", "its certificate is for another name: set triton.server_name to the one in it"),
    ("certificate has expired", "its certificate has expired: whoever runs Triton renews it"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is of an authority that is not trusted: triton.ca_file must hold who signed it",
    ),
    ("WRONG_VERSION_NUMBER", "this port does not speak TLS: name its TLS port, or set triton.tls=false"),
)


def client_options(triton: TritonSettings) -> dict[str, Any]:
    """Returns what tritonclient's gRPC clients need to connect; the blocking and the asynchronous name it alike.

    Raises:
        ConfigurationError: a file with a certificate or key cannot be used.
    """
    options: dict[str, Any] = {"url": triton.url, "ssl": triton.tls}
    if not triton.tls:
        return options
    _check_files(triton)
    if triton.ca_file is not None:
        options["root_certificates"] = str(triton.ca_file)
    if triton.cert_file is not None:
        options |= {"certificate_chain": str(triton.cert_file), "private_key": str(triton.key_file)}
    if triton.server_name is not None:
        options["channel_args"] = [*_channel_arguments(), ("grpc.ssl_target_name_override", triton.server_name)]
    return options


def _check_files(triton: TritonSettings) -> None:
    """Finds out now which file is wrong: gRPC takes any, and says later that it cannot connect."""
    if triton.ca_file is not None:
        context = client_context(triton.ca_file, "triton.ca_file")
        if triton.cert_file is not None:
            add_identity(context, triton.cert_file, triton.key_file, None, _NAMES)
    for name, file in zip(_NAMES, (triton.cert_file, triton.key_file), strict=True):
        check_readable(name, file)


def _channel_arguments() -> list[tuple[str, int]]:
    """Returns what tritonclient sets by itself where no arguments of ours take its place."""
    alive = KeepAliveOptions()
    return [
        ("grpc.max_send_message_length", MAX_GRPC_MESSAGE_SIZE),
        ("grpc.max_receive_message_length", MAX_GRPC_MESSAGE_SIZE),
        ("grpc.keepalive_time_ms", alive.keepalive_time_ms),
        ("grpc.keepalive_timeout_ms", alive.keepalive_timeout_ms),
        ("grpc.keepalive_permit_without_calls", alive.keepalive_permit_without_calls),
        ("grpc.http2.max_pings_without_data", alive.http2_max_pings_without_data),
    ]


def advice(triton: TritonSettings, said: str) -> str | None:
    """Returns what to do where access is what keeps gRPC, which `said` so, from connecting; None where it is not."""
    if _CLOSED in said:
        if not triton.tls:
            return "if this port speaks TLS, set triton.tls=true and triton.ca_file"
        if triton.cert_file is None:
            return "it may ask for a certificate of ours: set triton.cert_file and triton.key_file"
        return f"it may refuse our certificate, {triton.cert_file}: it must be signed by who Triton trusts"
    return next((what_to_do for hint, what_to_do in _ADVICE if hint in said), None)


def declared_parameters(config: dict[str, Any]) -> dict[str, str]:
    """Returns the parameters of a model's configuration (as JSON from the server) by name."""
    return {name: str(value.get("string_value", "")) for name, value in config.get("parameters", {}).items()}
