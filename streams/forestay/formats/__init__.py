"""Values in Avro and Protobuf, framed as Confluent's serializers frame them (docs/formats.md).

Nothing here reaches out: `forestay.shell.registry.registry` fetches the schemas. What reads them
comes with the extra `registry`.
"""

from typing import Literal

from forestay.core.errors import ConfigurationError
from forestay.formats.decoder import RegistryDecoder


def decoder_of(name: Literal["avro", "protobuf"]) -> RegistryDecoder:
    """Returns a decoder that knows no schema yet.

    Raises:
        ConfigurationError: the extra `registry` is not installed.
    """
    try:
        if name == "avro":
            from forestay.formats.avro import AvroDecoder  # noqa: PLC0415 - JSON shops do without the extra

            return AvroDecoder()
        from forestay.formats.protobuf import ProtobufDecoder  # noqa: PLC0415 - as above

        return ProtobufDecoder()
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{name} values need the extra 'registry' ({error.name} is missing): in a checkout run"
            " `scripts/setup --extra embedded --extra registry`, else pip install 'forestay[registry]'"
        ) from error
