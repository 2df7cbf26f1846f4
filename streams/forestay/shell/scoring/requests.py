"""One question to one version: arrays out, answers in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from forestay.core.decision.answer import EMBEDDING_DIGITS, Answer, Embedding
from forestay.core.decision.model_input import ModelInput
from forestay.core.survival import PARTS, Survival
from forestay.shell.scoring.served import CONTRIBUTIONS, EMBEDDING, OUTPUT, SURVIVAL, Version
from forestay_schemas.decision import MAX_EMBEDDING
from forestay_schemas.retention_action import Factor

Matrix = NDArray[np.floating[Any]]


async def ask(
    client: Any, name: str, version: Version, batch: ModelInput, seconds: float, *, embedding: bool = False
) -> tuple[list[Answer], str]:
    """Returns the answers of a version of the model `name` on B users, and the number of who has answered.

    With `embedding` they carry that of the user too, where the version has one.

    Raises:
        InferenceServerException: it gives none within `seconds`, or not B of them.
    """
    result = await client.infer(
        name,
        [_tensor(part, array) for part, array in batch._asdict().items()],
        model_version=version.number,
        outputs=[triton.InferRequestedOutput(output) for output in version.outputs(embedding=embedding)],
        client_timeout=seconds,
    )
    rows = len(batch.features)
    probabilities = _matrix(result, OUTPUT, rows, 1)[:, 0].tolist()
    factors = _factors(result, version, rows)
    curves = _curves(result, version, rows)
    embeddings = _embeddings(result, version, rows) if embedding and version.embeds else [None] * rows
    told = zip(probabilities, factors, curves, embeddings, strict=True)
    answers = [Answer(one, version.model, groups, curve, made) for one, groups, curve, made in told]
    return answers, str(result.get_response().model_version)


def _factors(result: Any, version: Version, rows: int) -> Sequence[tuple[Factor, ...]]:
    if not version.groups:
        return [()] * rows
    table = _matrix(result, CONTRIBUTIONS, rows, len(version.groups))
    # One that is not finite would be no factor; the probability stands without.
    return [_row_of_factors(version.groups, row.tolist()) if np.isfinite(row).all() else () for row in table]


def _row_of_factors(groups: tuple[str, ...], row: list[float]) -> tuple[Factor, ...]:
    # Without validation, which costs more than the request: the groups are the model's, the numbers were looked at.
    return tuple(Factor.model_construct(group=group, log_odds=one) for group, one in zip(groups, row, strict=True))


def _curves(result: Any, version: Version, rows: int) -> Sequence[Survival | None]:
    if not version.hours:
        return [None] * rows
    table = _matrix(result, SURVIVAL, rows, len(version.hours))
    return [_curve(version.hours, row) for row in table]


def _curve(hours: tuple[int, ...], row: Matrix) -> Survival | None:
    """Returns the curve in whole shares, None where it is none."""
    if not np.isfinite(row).all():
        return None
    # What lies far outside is no share, and would be no whole number either.
    parts = np.rint(np.clip(row.astype(np.float64), -1, 2) * PARTS)
    curve = Survival(hours, tuple(parts.astype(np.int64).tolist()))
    return curve if curve.is_curve() else None


def _embeddings(result: Any, version: Version, rows: int) -> Sequence[Embedding | None]:
    table = _matrix(result, EMBEDDING, rows, None)
    if table.shape[1] > MAX_EMBEDDING:
        raise InferenceServerException(f"{EMBEDDING} has {table.shape[1]} numbers a user, at most {MAX_EMBEDDING}")
    name = version.model.version
    # In double precision, so that so many digits are all there is of a number; + 0.0 makes zero of -0.0.
    rounded = np.round(table.astype(np.float64), EMBEDDING_DIGITS) + 0.0
    return [Embedding(name, tuple(row.tolist())) if np.isfinite(row).all() else None for row in rounded]


def _matrix(result: Any, output: str, rows: int, columns: int | None) -> Matrix:
    """Returns an output; `columns` None stands for any number, the same for all rows."""
    answer = result.as_numpy(output)
    shape = getattr(answer, "shape", None)
    if shape is None or len(shape) != 2 or shape != (rows, shape[1] if columns is None else columns):  # noqa: PLR2004
        wanted = f"({rows}, {'any' if columns is None else columns})"
        raise InferenceServerException(f"{output} has shape {shape}, not {wanted}")
    matrix: Matrix = answer
    return matrix


def _tensor(name: str, array: NDArray[Any]) -> triton.InferInput:
    tensor = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(np.ascontiguousarray(array))
    return tensor
