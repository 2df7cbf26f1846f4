"""`config.pbtxt`: what Triton is told of the model, and what the worker reads of it before the first score."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from forestay.core.decision.length_buckets import BUCKETS
from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS
from forestay.core.feature_set import FEATURE_COUNT

NAME: Final = "churn_transformer"
MAX_BATCH: Final = 256
#: On a CPU a user costs least in batches of 32 to 64; with none preferred, two requests of 32 are joined for nothing.
PREFERRED_BATCHES: Final = (32, 64)
#: How long a request may wait for company (microseconds): not at all. Small requests that come while the model is
#: busy are joined anyway; a wait of 500 made one alone take 1.8 ms instead of 1.2, and gave no more users a second.
QUEUE_DELAY: Final = 0

#: A request may hold any number of steps up to 64; workers send one of `BUCKETS`.
INPUTS: Final = {
    "step_tokens": (triton.TYPE_INT32, (-1, len(TOKEN_COLUMNS))),
    "step_numbers": (triton.TYPE_FP32, (-1, len(NUMBER_COLUMNS))),
    "features": (triton.TYPE_FP32, (FEATURE_COUNT,)),
}


def config_text(parameters: Mapping[str, str], outputs: Mapping[str, int]) -> str:
    """Returns the file's text; `parameters` are what a client reads through `get_model_config`.

    `outputs` are the graph's, with the numbers each has a row.
    """
    config = triton.ModelConfig(
        name=NAME,
        backend="onnxruntime",
        max_batch_size=MAX_BATCH,
        input=[
            triton.ModelInput(name=name, data_type=data_type, dims=dims) for name, (data_type, dims) in INPUTS.items()
        ],
        output=[
            triton.ModelOutput(name=name, data_type=triton.TYPE_FP32, dims=[size]) for name, size in outputs.items()
        ],
        instance_group=[triton.ModelInstanceGroup(kind=triton.ModelInstanceGroup.KIND_AUTO, count=1)],
        dynamic_batching=triton.ModelDynamicBatching(
            preferred_batch_size=PREFERRED_BATCHES, max_queue_delay_microseconds=QUEUE_DELAY
        ),
        model_warmup=[_warmup(1, min(BUCKETS)), *(_warmup(max(PREFERRED_BATCHES), steps) for steps in BUCKETS)],
    )
    for key in sorted(parameters):
        config.parameters[key].string_value = parameters[key]
    return f"# Written by `forestay train`.\n{text_format.MessageToString(config)}"


def _warmup(rows: int, steps: int) -> Any:
    zeros = {
        name: triton.ModelWarmup.Input(
            data_type=data_type, dims=[steps if size < 0 else size for size in dims], zero_data=True
        )
        for name, (data_type, dims) in INPUTS.items()
    }
    return triton.ModelWarmup(name=f"{rows} rows of {steps} steps", batch_size=rows, inputs=zeros)
