"""What a model folder must be for Triton to serve it and the worker to accept it. Needs no torch."""

import hashlib
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2 as triton

from forestay.core.decision.model_input import INPUT_DIGEST, ModelInput, model_input, stack
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.state.user_state import UserState
from forestay.shell.scorer import OUTPUT, identity
from forestay.shipping.changes import rollout_of
from forestay.shipping.folder import CARD, METRICS, ModelFolder, part

_ONNX_TYPES = {triton.TYPE_INT32: onnx.TensorProto.INT32, triton.TYPE_FP32: onnx.TensorProto.FLOAT}
_NUMPY_TYPES = {triton.TYPE_INT32: np.int32, triton.TYPE_FP32: np.float32}
MAX_BYTES = 5_000_000


def check_served(folder: Path) -> None:
    """Checks `config.pbtxt` against the core and the file against `config.pbtxt`."""
    config = text_format.Parse((folder / "config.pbtxt").read_text(), triton.ModelConfig())
    assert (config.name, config.backend) == (folder.name, "onnxruntime")
    sample = stack([model_input(UserState(DEFAULT_FEATURES.new_parts()), DEFAULT_FEATURES, 0)] * 3)
    _check_inputs(config, sample)
    place = folder / str(rollout_of(ModelFolder(folder)).current)
    path = place / "model.onnx"
    assert path.stat().st_size <= MAX_BYTES
    _check_parameters(config, folder.name, path)
    _check_graph(config, path)
    _check_answer(config, path, sample)


def _check_inputs(config: triton.ModelConfig, sample: ModelInput) -> None:
    assert {entry.name for entry in config.input} == set(sample._fields)
    for entry in config.input:
        array = getattr(sample, entry.name)
        assert array.dtype.type is _NUMPY_TYPES[entry.data_type]
        assert all(dim in {-1, size} for dim, size in zip(entry.dims, array.shape[1:], strict=True))
    outputs = {entry.name: (tuple(entry.dims), entry.data_type) for entry in config.output}
    assert outputs[OUTPUT] == ((1,), triton.TYPE_FP32)
    assert config.max_batch_size == 256
    assert set(config.dynamic_batching.preferred_batch_size) == {32, 64}


def _check_parameters(config: triton.ModelConfig, name: str, path: Path) -> None:
    as_json = json_format.MessageToDict(config, preserving_proto_field_name=True)
    model = identity(as_json, name)
    assert model.horizon_days == 60
    assert model.version == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    assert parameters["input_digest"] == INPUT_DIGEST
    # What comes after is what the model's page and the demo judge it on.
    assert datetime.fromisoformat(parameters["trained_until"]) <= datetime.fromisoformat("2010-09-30T00:00:00Z")
    assert parameters["calibration"]
    metrics = json.loads(part(path.parent, METRICS).read_text())
    assert metrics["model_version"] == model.version
    assert metrics["input_digest"] == INPUT_DIGEST
    assert model.version in part(path.parent, CARD).read_text()


def _check_answer(config: triton.ModelConfig, path: Path, sample: ModelInput) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in config.output]
    answers = dict(zip(names, session.run(names, dict(sample._asdict())), strict=True))
    for entry in config.output:
        assert answers[entry.name].shape == (len(sample.features), *entry.dims)
    assert ((answers[OUTPUT] > 0) & (answers[OUTPUT] < 1)).all()


def _check_graph(config: triton.ModelConfig, path: Path) -> None:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    tensors = {entry.name: entry.type.tensor_type for entry in (*model.graph.input, *model.graph.output)}
    assert tensors.keys() == {entry.name for entry in (*config.input, *config.output)}
    for entry in (*config.input, *config.output):
        batch, *dims = tensors[entry.name].shape.dim
        assert batch.dim_param
        assert [-1 if dim.dim_param else dim.dim_value for dim in dims] == list(entry.dims)
        assert tensors[entry.name].elem_type == _ONNX_TYPES[entry.data_type]
    content = path.read_bytes()
    assert b"site-packages" not in content
    assert b"forestay_training" not in content
