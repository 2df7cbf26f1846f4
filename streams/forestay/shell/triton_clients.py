"""What Triton's clients, blocking and asynchronous, have in common: how they connect, and what a model declares."""

from typing import Any

from forestay.settings import TritonSettings


def client_options(triton: TritonSettings) -> dict[str, Any]:
    """Returns what tritonclient's gRPC clients need to connect; the blocking and the asynchronous name it alike."""
    options: dict[str, Any] = {"url": triton.url, "ssl": triton.tls}
    if triton.ca_file is not None:
        options["root_certificates"] = str(triton.ca_file)
    return options


def declared_parameters(config: dict[str, Any]) -> dict[str, str]:
    """Returns the parameters of a model's configuration (as JSON from the server) by name."""
    return {name: str(value.get("string_value", "")) for name, value in config.get("parameters", {}).items()}
