"""`config.pbtxt`: what Triton is told of the model, and what the worker reads of it before the first score."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS
from forestay.core.families.sequence import MAX_STEPS
from forestay.core.feature_set import FEATURE_COUNT
from forestay_training.export import OUTPUT

NAME: Final = "churn_transformer"
MAX_BATCH: Final = 256
#: On a CPU a user costs least in batches of 32 to 64.
PREFERRED_BATCHES: Final = (32, 64)
#: How long a request may wait for company (microseconds): a worker sends whole batches, so hardly at all.
QUEUE_DELAY: Final = 500

INPUTS: Final = {
    "step_tokens": (triton.TYPE_INT32, (MAX_STEPS, len(TOKEN_COLUMNS))),
    "step_numbers": (triton.TYPE_FP32, (MAX_STEPS, len(NUMBER_COLUMNS))),
    "features": (triton.TYPE_FP32, (FEATURE_COUNT,)),
}


def config_text(parameters: Mapping[str, str]) -> str:
    """Returns the file's text; `parameters` are what a client reads through `get_model_config`."""
    config = triton.ModelConfig(
        name=NAME,
        backend="onnxruntime",
        max_batch_size=MAX_BATCH,
        input=[
            triton.ModelInput(name=name, data_type=data_type, dims=dims) for name, (data_type, dims) in INPUTS.items()
        ],
        output=[triton.ModelOutput(name=OUTPUT, data_type=triton.TYPE_FP32, dims=[1])],
        instance_group=[triton.ModelInstanceGroup(kind=triton.ModelInstanceGroup.KIND_AUTO, count=1)],
        dynamic_batching=triton.ModelDynamicBatching(
            preferred_batch_size=PREFERRED_BATCHES, max_queue_delay_microseconds=QUEUE_DELAY
        ),
        model_warmup=[_warmup(rows) for rows in (1, max(PREFERRED_BATCHES))],
    )
    for key in sorted(parameters):
        config.parameters[key].string_value = parameters[key]
    return f"# Written by `python -m forestay_training`; change it there.\n{text_format.MessageToString(config)}"


def _warmup(rows: int) -> Any:
    zeros = {
        name: triton.ModelWarmup.Input(data_type=data_type, dims=dims, zero_data=True)
        for name, (data_type, dims) in INPUTS.items()
    }
    return triton.ModelWarmup(name=f"{rows} rows of zeros", batch_size=rows, inputs=zeros)
