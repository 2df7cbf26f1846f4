"""`config.pbtxt` of a model of several versions, made of theirs and of the roll-out.

Triton has one configuration a model, and its onnxruntime backend refuses a version that lacks an output it declares,
or whose fixed dimension it leaves open. So it declares what all versions served have in common.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from forestay.shell.scoring.rollout import Rollout, facts_as_parameters, version_facts
from forestay.shipping.errors import ShippingError

_HEADER: Final = "# Written by `forestay model`, which changes it; docs/shipping.md says what the parameters mean.\n"
#: Parameters that are the backend's, not facts about a version: those of the current version hold for all.
BACKEND_PARAMETERS: Final = frozenset(
    {
        *(
            "intra_op_thread_count",
            "inter_op_thread_count",
            "execution_mode",
            "enable_mem_arena",
            "enable_mem_pattern",
        ),
        *("memory.enable_memory_arena_shrinkage", "session.use_device_allocator_for_initializers"),
    }
)


def read_config(file: Path) -> Any:
    """Returns the `ModelConfig` of a file.

    Raises:
        ShippingError: it is none.
    """
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), triton.ModelConfig())
    except FileNotFoundError as error:
        raise ShippingError(f"{file} is missing") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ShippingError(f"{file} is not a configuration of Triton: {error}") from error


def parameters_of(config: Any) -> dict[str, str]:
    """Returns a configuration's parameters by name."""
    return {name: value.string_value for name, value in config.parameters.items()}


def merged(configs: Mapping[int, Any], rollout: Rollout) -> str:
    """Returns the text of the model's configuration: `configs` are those of all versions it may serve.

    Served are the versions asked and, where that costs no output, the former one: workers go on with it until
    they have heard of the change.

    Raises:
        ShippingError: versions that are to be served at once cannot be.
    """
    served = list(rollout.asked)
    outputs = _common_outputs([configs[number] for number in served])
    former = rollout.former
    if former is not None and former not in served and _fits(configs, [*served, former], outputs):
        served.append(former)
    made = triton.ModelConfig()
    made.CopyFrom(configs[rollout.current])
    _set_tensors(made, [configs[number] for number in served], outputs)
    made.max_batch_size = min(configs[number].max_batch_size for number in served)
    made.version_policy.specific.versions[:] = sorted(served)
    parameters = parameters_of(made)
    for number in sorted(served):
        facts = {
            name: text
            for name, text in version_facts(parameters_of(configs[number]), number, number).items()
            if name not in BACKEND_PARAMETERS
        }
        parameters |= facts_as_parameters(facts, number, rollout.current)
    made.parameters.clear()
    for name in sorted(parameters | rollout.parameters()):
        made.parameters[name].string_value = (parameters | rollout.parameters())[name]
    return f"{_HEADER}{text_format.MessageToString(made)}"


def _common_outputs(configs: Sequence[Any]) -> list[str]:
    """Returns the outputs that all have, in the order of the first."""
    having = [{output.name: (output.data_type, tuple(output.dims)) for output in config.output} for config in configs]
    return [name for name, kind in having[0].items() if all(other.get(name) == kind for other in having)]


def _fits(configs: Mapping[int, Any], served: Sequence[int], outputs: Sequence[str]) -> bool:
    """Says whether versions can be served together with these outputs, and as they are now."""
    chosen = [configs[number] for number in served if number in configs]
    if len(chosen) < len(served) or set(outputs) - set(_common_outputs(chosen)):
        return False
    try:
        return _common_dims(chosen) == _common_dims(chosen[:-1])
    except ShippingError:
        return False


def _common_dims(configs: Sequence[Any]) -> dict[str, tuple[int, ...]]:
    """Returns each input's dimensions: a fixed one where any version has it fixed."""
    names = {tuple(sorted((entry.name, entry.data_type) for entry in config.input)) for config in configs}
    if len(names) > 1:
        raise ShippingError("versions with other inputs cannot be served at once: promote instead of trying out")
    dims: dict[str, tuple[int, ...]] = {}
    for config in configs:
        for entry in config.input:
            known, these = dims.get(entry.name, tuple(entry.dims)), tuple(entry.dims)
            if len(known) != len(these) or any(
                -1 not in (a, b) and a != b for a, b in zip(known, these, strict=True)
            ):
                raise ShippingError(
                    f"versions with other shapes of {entry.name}, {list(known)} and {list(these)}, cannot be served"
                    " at once: promote instead of trying out"
                )
            dims[entry.name] = tuple(max(a, b) for a, b in zip(known, these, strict=True))
    return dims


def _set_tensors(made: Any, configs: Sequence[Any], outputs: Sequence[str]) -> None:
    dims = _common_dims(configs)
    for entry in made.input:
        entry.dims[:] = dims[entry.name]
    kept = [output for output in made.output if output.name in outputs]
    del made.output[:]
    made.output.extend(kept)
