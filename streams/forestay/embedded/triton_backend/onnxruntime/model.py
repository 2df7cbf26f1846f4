"""A Python-based Triton backend that takes the place of the native ``onnxruntime`` one.

It runs the same ``model_repository`` unchanged where only Triton's Python backend is at hand: with the server binary
of the wheel nvidia-pytriton. Triton calls the class below in a stub process, one per model instance; it is loaded by
path, in an environment of its own, and imports nothing of forestay.

Taken from ``config.pbtxt`` as the native backend takes it: inputs and outputs by name, ``max_batch_size``,
``dynamic_batching``, ``instance_group`` count, ``default_model_filename``, ``optimization.graph.level``, and the
parameters ``intra_op_thread_count``, ``inter_op_thread_count``, ``execution_mode``, ``enable_mem_arena`` and
``enable_mem_pattern``. Not here: GPUs and other execution providers, TYPE_STRING and TYPE_BF16, and a configuration
that leaves inputs or outputs to be filled in from the model.

Triton's Python backend hands a batch to this process and takes the answers back, and by itself does neither while a
batch is computed. Where the instances leave a core free, threads here do: one runs the model, another hands answers
over, and Triton brings the next batch meanwhile.
"""

# ruff: noqa: INP001 - Triton wants this folder and this file name, and loads it by path.

import json
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

_ONNX_TYPES = {
    "TYPE_BOOL": ("tensor(bool)", np.bool_),
    "TYPE_UINT8": ("tensor(uint8)", np.uint8),
    "TYPE_UINT16": ("tensor(uint16)", np.uint16),
    "TYPE_UINT32": ("tensor(uint32)", np.uint32),
    "TYPE_UINT64": ("tensor(uint64)", np.uint64),
    "TYPE_INT8": ("tensor(int8)", np.int8),
    "TYPE_INT16": ("tensor(int16)", np.int16),
    "TYPE_INT32": ("tensor(int32)", np.int32),
    "TYPE_INT64": ("tensor(int64)", np.int64),
    "TYPE_FP16": ("tensor(float16)", np.float16),
    "TYPE_FP32": ("tensor(float)", np.float32),
    "TYPE_FP64": ("tensor(double)", np.float64),
}
# The numbers are those of the native backend; 0 or nothing means all optimizations.
_GRAPH_LEVELS = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    0: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_EXECUTION_MODES = {"0": ort.ExecutionMode.ORT_SEQUENTIAL, "1": ort.ExecutionMode.ORT_PARALLEL}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
#: Rows of a batch that nothing is won by computing aside.
_FEW = 4

Arrays = dict[str, np.ndarray[Any, Any]]
Key = TypeVar("Key", int, str)
Value = TypeVar("Value")


class TritonPythonModel:
    """One instance of one version of a model."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load and warm up the model; an exception is the reason Triton gives for not serving it."""
        config = json.loads(args["model_config"])
        self._inputs = {entry["name"]: entry for entry in config["input"]}
        self._outputs = {entry["name"]: entry for entry in config["output"]}
        self._max_batch_size = config["max_batch_size"]
        folder = Path(args["model_repository"]) / args["model_version"]
        self._session = ort.InferenceSession(
            str(folder / (config["default_model_filename"] or "model.onnx")),
            _session_options(config),
            providers=["CPUExecutionProvider"],
        )
        _check_tensors("input", self._inputs, self._session.get_inputs(), all_needed=True)
        _check_tensors("output", self._outputs, self._session.get_outputs(), all_needed=False)
        self._warm_up()
        self._pipeline = _Pipeline(self._answers) if _leave_a_core(config) else None
        way = "while one is computed" if self._pipeline else "in turn"
        pb_utils.Logger.log_info(f"{config['name']}: batches come and answers go {way}")

    def finalize(self) -> None:
        """Answer what was taken, before the model is unloaded."""
        if self._pipeline is not None:
            self._pipeline.finish()

    def _warm_up(self) -> None:
        """Run the smallest and the largest batch, so that the first request does not pay for the arena's growth."""
        for rows in {1, max(1, self._max_batch_size)}:
            feed: Arrays = {}
            for name, entry in self._inputs.items():
                shape = [max(1, int(size)) for size in entry["dims"]]
                batch = [rows] if self._max_batch_size > 0 else []
                feed[name] = np.zeros(batch + shape, dtype=_ONNX_TYPES[entry["data_type"]][1])
            try:
                self._session.run(list(self._outputs), feed)
            except Exception as error:  # noqa: BLE001 - zeros need not be lawful input, and a cold model serves as well
                pb_utils.Logger.log_info(f"no warm-up: {error}")
                return

    def execute(self, requests: Sequence[Any]) -> list[Any] | None:
        """Answer the requests of one dynamic batch, in their order; None if the answers are sent later."""
        if self._pipeline is None or (_is_small(requests) and self._pipeline.is_idle()):
            return self._answers(requests)
        self._pipeline.take(requests)
        return None

    def _answers(self, requests: Sequence[Any]) -> list[Any]:
        """Return one answer a request, by one run if they can be joined."""
        if len(requests) > 1 and self._max_batch_size > 0:
            try:
                return self._run_together(requests)
            except Exception:  # noqa: BLE001, S110 - whatever it is, it is found again, with its request, one at a time
                pass
        return [self._run_alone(request) for request in requests]

    def _run_together(self, requests: Sequence[Any]) -> list[Any]:
        feeds = [self._feed(request) for request in requests]
        wanted = [request.requested_output_names() for request in requests]
        names = [name for name in self._outputs if any(name in some for some in wanted)]
        rows = [len(next(iter(feed.values()))) for feed in feeds]
        joined = {name: np.concatenate([feed[name] for feed in feeds]) for name in self._inputs}
        results = dict(zip(names, self._session.run(names, joined), strict=True))
        total = sum(rows)
        if any(result.ndim == 0 or len(result) != total for result in results.values()):
            raise ValueError("an output has no row for each row of the input")
        responses, start = [], 0
        for count, some in zip(rows, wanted, strict=True):
            end = start + count
            # A slice of whole rows is contiguous: it is copied once, into the shared memory of the answer.
            tensors = [pb_utils.Tensor(name, results[name][start:end]) for name in some]
            responses.append(pb_utils.InferenceResponse(tensors))
            start = end
        return responses

    def _run_alone(self, request: Any) -> Any:
        try:
            names = request.requested_output_names()
            results = self._session.run(names, self._feed(request))
            tensors = [
                pb_utils.Tensor(name, np.ascontiguousarray(result))
                for name, result in zip(names, results, strict=True)
            ]
            return pb_utils.InferenceResponse(tensors)
        except Exception as error:  # noqa: BLE001 - every request gets an answer, and one that fails harms no other
            return pb_utils.InferenceResponse([], pb_utils.TritonError(f"onnx runtime error: {error}"))

    def _feed(self, request: Any) -> Arrays:
        """Return the arrays of a request: views of the shared memory they came in."""
        return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


class _Pipeline:
    """Two threads beside Triton's own: while one batch is computed, one comes and the answers of another go.

    It holds three batches at most, besides the one that Triton waits to give.
    """

    def __init__(self, answers: Callable[[Sequence[Any]], list[Any]]) -> None:
        """Start; `answers` gives one a request and never raises."""
        self._answers = answers
        self._taken: queue.Queue[Sequence[Any] | None] = queue.Queue(maxsize=1)
        self._answered: queue.Queue[tuple[Sequence[Any], list[Any]] | None] = queue.Queue(maxsize=1)
        #: Batches taken and not yet given back.
        self._under_way = 0
        self._counting = threading.Lock()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._compute, self._send)]
        for thread in self._threads:
            thread.start()

    def is_idle(self) -> bool:
        """Say whether all that was taken has been answered."""
        with self._counting:
            return self._under_way == 0

    def take(self, requests: Sequence[Any]) -> None:
        """Take a batch; return once the one before it is being computed."""
        with self._counting:
            self._under_way += 1
        self._taken.put(requests)

    def finish(self) -> None:
        """Return when all that was taken is answered."""
        self._taken.put(None)
        for thread in self._threads:
            thread.join()

    def _compute(self) -> None:
        while (requests := self._taken.get()) is not None:
            self._answered.put((requests, self._answers(requests)))
        self._answered.put(None)

    def _send(self) -> None:
        while (batch := self._answered.get()) is not None:
            for request, response in zip(*batch, strict=True):
                try:
                    request.get_response_sender().send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
                except Exception as error:  # noqa: BLE001 - one that cannot be given is no reason to keep others back
                    pb_utils.Logger.log_error(f"an answer could not be given: {error}")
            with self._counting:
                self._under_way -= 1


def _is_small(requests: Sequence[Any]) -> bool:
    """Say whether a batch is computed sooner than it is handed to another thread and back (some 0.2 ms)."""
    # Without batches an input may be one number, of no axis.
    shapes = [request.inputs()[0].shape() for request in requests]
    return sum(int(shape[0]) if shape else 1 for shape in shapes) <= _FEW


def _leave_a_core(config: Mapping[str, Any]) -> bool:
    """Say whether the instances' threads leave one of the machine's cores to those who bring and take batches.

    Where they do not, more threads only take turns: with two instances on two cores they cost up to a quarter.
    """
    parameters = {key: entry["string_value"] for key, entry in config.get("parameters", {}).items()}
    cores = len(os.sched_getaffinity(0))
    instances = sum(int(group.get("count", 1)) for group in config.get("instance_group", ())) or 1
    # 0 threads stand for as many as there are cores.
    return instances * (int(parameters.get("intra_op_thread_count", "0")) or cores) < cores


def _session_options(config: Mapping[str, Any]) -> ort.SessionOptions:
    """Return the session options that the native backend would set for this configuration."""
    parameters = {key: entry["string_value"] for key, entry in config.get("parameters", {}).items()}
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors; warnings about shapes would come with every batch
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = _choice("optimization.graph.level", level, _GRAPH_LEVELS)
    options.execution_mode = _choice("execution_mode", parameters.get("execution_mode", "0"), _EXECUTION_MODES)
    options.intra_op_num_threads = int(parameters.get("intra_op_thread_count", "0"))
    options.inter_op_num_threads = int(parameters.get("inter_op_thread_count", "0"))
    arena, pattern = (parameters.get(name, "1").lower() for name in ("enable_mem_arena", "enable_mem_pattern"))
    options.enable_cpu_mem_arena = _choice("enable_mem_arena", arena, _BOOLEANS)
    options.enable_mem_pattern = _choice("enable_mem_pattern", pattern, _BOOLEANS)
    return options


def _choice(name: str, value: Key, choices: Mapping[Key, Value]) -> Value:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, not {value}")
    return choices[value]


def _check_tensors(
    kind: str, configured: Mapping[str, Mapping[str, Any]], in_model: Sequence[Any], *, all_needed: bool
) -> None:
    """Raise ValueError unless the names and types of ``config.pbtxt`` are those of the model."""
    types = {tensor.name: tensor.type for tensor in in_model}
    for name, entry in configured.items():
        if name not in types:
            raise ValueError(f"unexpected {kind} '{name}', the model has: {', '.join(types)}")
        expected = _ONNX_TYPES.get(entry["data_type"], ("nothing this backend knows", None))[0]
        if types[name] != expected:
            raise ValueError(f"{kind} '{name}' is {entry['data_type']} ({expected}), the model has {types[name]}")
    missing = types.keys() - configured.keys()
    if all_needed and missing:
        raise ValueError(f"the configuration lacks the {kind}s {', '.join(sorted(missing))}")
