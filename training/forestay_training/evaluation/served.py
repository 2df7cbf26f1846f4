"""The model as it is served: the ONNX file of a model folder, and what its configuration says of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import onnxruntime
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2 as triton

from forestay.core.decision.answer import EMBEDDING_DIGITS, Embedding
from forestay.core.decision.model_input import INPUT_DIGEST, ModelInput
from forestay.core.errors import ForestayError
from forestay.core.units import DAY
from forestay.dataset.plan import span_text

_PROBABILITY: Final = "churn_probability"
_SURVIVAL: Final = "survival"
_EMBEDDING: Final = "user_embedding"
#: The parameter that says which of several versions answers (docs/shipping.md).
_CURRENT: Final = "rollout.current"
#: Rows of one call: a user costs least so.
_BATCH: Final = 64


class ServedModel(NamedTuple):
    """The version of a model folder that answers. `parameters` are those of its `config.pbtxt`."""

    folder: Path
    version: str
    parameters: Mapping[str, str]
    session: onnxruntime.InferenceSession

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads `folder`: one as `model_repository/churn_transformer` is, a version of it, or a candidate.

        Raises:
            OSError: a file of it cannot be read.
            ForestayError: it is no model folder, or the model reads another input than this Forestay makes.
        """
        config = folder / "config.pbtxt"
        parameters = _parameters(config) if config.is_file() else {}
        file = _graph(folder, parameters.get(_CURRENT))
        if not config.is_file() or not file.is_file():
            raise ForestayError(
                f"--model {folder}: there is no config.pbtxt with a model.onnx below it; name a folder such as"
                " model_repository/churn_transformer"
            )
        digest = parameters.get("input_digest")
        if digest != INPUT_DIGEST:
            raise ForestayError(
                f"{folder} was trained on the input {digest or 'unnamed'}, this Forestay makes {INPUT_DIGEST}: its"
                " answers would mean nothing. Train it again, or evaluate fresh models with --train-before TIME"
            )
        return cls(folder, parameters.get("model_version", file.parent.name), parameters, _session(file))

    def churn(self, inputs: ModelInput, horizon: int, done: Callable[[int], None]) -> NDArray[np.float64]:
        """Returns the probability (N,) of no return within `horizon`, if the model knows it, else within its own."""
        column = self._column(horizon)
        found = []
        for start in range(0, len(inputs.features), _BATCH):
            some = {name: array[start : start + _BATCH] for name, array in inputs._asdict().items()}
            if column is None:
                found.append(self.session.run([_PROBABILITY], some)[0][:, 0])
            else:
                found.append(self.session.run([_SURVIVAL], some)[0][:, column])
            done(min(start + _BATCH, len(inputs.features)))
        return np.concatenate(found).astype(np.float64)

    def embeddings(self, inputs: ModelInput) -> list[Embedding]:
        """Returns what the model makes of users (N), to the digits that a decision's record has.

        Raises:
            ForestayError: it tells no embedding.
        """
        if _EMBEDDING not in {output.name for output in self.session.get_outputs()}:
            raise ForestayError(
                f"{self.folder} tells no {_EMBEDDING}: train a model, `forestay train` makes one that does"
            )
        found = []
        for start in range(0, len(inputs.features), _BATCH):
            some = {name: array[start : start + _BATCH] for name, array in inputs._asdict().items()}
            rounded = np.round(self.session.run([_EMBEDDING], some)[0].astype(np.float64), EMBEDDING_DIGITS) + 0.0
            found += [Embedding(self.version, tuple(row)) for row in rounded.tolist()]
        return found

    def speaks_of(self, horizon: int) -> bool:
        """Says whether the model gives the probability of `horizon` (milliseconds) itself."""
        return self.horizon == horizon or self._column(horizon) is not None

    @property
    def horizon(self) -> int:
        """Returns the horizon of the served probability in milliseconds."""
        return int(self.parameters.get("horizon_days", "0")) * DAY

    def _column(self, horizon: int) -> int | None:
        outputs = {output.name for output in self.session.get_outputs()}
        edges = [edge.strip() for edge in self.parameters.get("horizons", "").split(",")]
        if horizon == self.horizon or _SURVIVAL not in outputs or span_text(horizon) not in edges:
            return None
        return edges.index(span_text(horizon))


def _graph(folder: Path, current: str | None) -> Path:
    """Returns the graph of the version that answers: the current one, else the only or newest one."""
    if current is not None and current.isdigit():
        return folder / current / "model.onnx"
    versions = sorted(folder.glob("[0-9]*/model.onnx"), key=lambda path: int(path.parent.name))
    return versions[-1] if versions else folder / "model.onnx"


def _parameters(file: Path) -> dict[str, str]:
    try:
        config = text_format.Parse(file.read_text(), triton.ModelConfig())
    except text_format.ParseError as error:
        raise ForestayError(f"{file} is no configuration of Triton: {error}") from error
    return {name: value.string_value for name, value in config.parameters.items()}


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime's errors have no common class of their own below Exception.
        raise ForestayError(f"{file} is no model that ONNX Runtime reads: {error}") from error
