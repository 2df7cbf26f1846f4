"""A fitted network in a file of its own, for those who go on from it: adapting, explaining, exporting anew."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from forestay.core.decision.model_input import INPUT_DIGEST, NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay.core.feature_set import FEATURE_COUNT
from forestay_training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from forestay_training.network import ChurnNetwork, Shape
from forestay_training.scaling import FeatureScaler


def save_network(path: Path, network: ChurnNetwork) -> None:
    """Writes the network with all that its weights mean."""
    shape = asdict(network.shape)
    edges = network.hazards.out_features
    save_checkpoint(path, {"input": INPUT_DIGEST, "shape": shape, "edges": edges, "weights": network.state_dict()})


def load_network(path: Path) -> ChurnNetwork:
    """Returns the network that `save_network` wrote.

    Raises:
        CheckpointError: there is none, or it reads another input than this version makes.
    """
    state = load_checkpoint(path)
    if state is None:
        raise CheckpointError(f"{path} is missing: `forestay train` writes it beside the model")
    told = state.get("input") if isinstance(state, dict) else None
    if told != INPUT_DIGEST:
        raise CheckpointError(f"{path} reads input {told}, this version makes {INPUT_DIGEST}: train it again")
    try:
        return _built(state)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        # Whatever torch says of shapes and names: the file is of another network than this code makes.
        raise CheckpointError(f"{path} holds no network of this version ({error}): train it again") from error


def _built(state: dict[str, Any]) -> ChurnNetwork:
    weights = state["weights"]
    kept = weights["kept"].numpy()
    scaler = FeatureScaler(kept, weights["feature_means"].numpy(), weights["feature_deviations"].numpy())
    nothing = ModelInput(
        np.ones((1, 1, len(TOKEN_COLUMNS)), dtype=np.int32),
        np.zeros((1, 1, len(NUMBER_COLUMNS)), dtype=np.float32),
        np.zeros((1, FEATURE_COUNT), dtype=np.float32),
    )
    network = ChurnNetwork(Shape(**state["shape"]), scaler, nothing, state["edges"])
    network.load_state_dict(weights)
    return network.eval()
