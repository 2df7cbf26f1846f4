"""Gates that read a candidate's files: whole, made for this input, not too large, true to the network."""

import hashlib
from pathlib import Path
from typing import Any, Final

from forestay.core.decision.model_input import INPUT_DIGEST
from forestay.shell.scorer import MAX_ROWS
from forestay.shipping.figures import Metrics
from forestay.shipping.folder import GRAPH
from forestay.shipping.gates.verdict import Outcome, Verdict, judged
from forestay.shipping.triton_config import parameters_of

#: A version is named by so many digits of its file's SHA-256.
VERSION_DIGITS: Final = 12
#: What a worker reads of a version before it asks it.
NEEDED: Final = ("input_digest", "model_version", "horizon_days")
#: Largest difference between ONNX Runtime's probabilities and PyTorch's.
PARITY: Final = 1e-4
#: A version lies in the repository of the code, and is loaded by each Triton.
MAX_BYTES: Final = 5_000_000


def graph_version(folder: Path) -> str:
    """Returns the name of the graph in a folder: the first digits of its SHA-256."""
    return hashlib.sha256((folder / GRAPH).read_bytes()).hexdigest()[:VERSION_DIGITS]


def whole(folder: Path, config: Any, metrics: Metrics, name: str) -> Verdict:
    """The files belong together: configuration, figures and graph speak of one version."""
    version, declared = graph_version(folder), parameters_of(config)
    faults = [f"config.pbtxt declares no {key}" for key in NEEDED if not declared.get(key)]
    if config.name != name:
        faults.append(f"config.pbtxt is of the model {config.name!r}, the repository's is {name!r}")
    if config.backend != "onnxruntime":
        faults.append(f"config.pbtxt names the backend {config.backend!r}, not onnxruntime")
    if config.max_batch_size < MAX_ROWS:
        faults.append(f"config.pbtxt takes {config.max_batch_size} rows, a worker sends up to {MAX_ROWS}")
    for file, told in (("config.pbtxt", declared.get("model_version")), ("metrics.json", metrics.model_version)):
        if told != version:
            faults.append(f"{file} is of version {told}, model.onnx of {version}: they were not made together")
    return judged("files", faults, f"graph, figures, card and configuration are of {version}")._replace(final=True)


def reads_our_input(config: Any, metrics: Metrics) -> Verdict:
    """It was trained on the input that this code makes: workers refuse any other."""
    told = {parameters_of(config).get("input_digest"), metrics.input_digest}
    faults = [
        f"it was trained on input {digest}, this code makes {INPUT_DIGEST}: train it again with `forestay train`"
        for digest in sorted(map(str, told - {INPUT_DIGEST}))
    ]
    return judged("input", faults, "it reads the input that this code makes")._replace(final=True)


def small(folder: Path) -> Verdict:
    """The graph is small enough."""
    size = (folder / GRAPH).stat().st_size
    faults = [f"model.onnx has {size:,} bytes, more than {MAX_BYTES:,}"] if size > MAX_BYTES else []
    return judged("size", faults, f"{size:,} bytes")


def parity(metrics: Metrics) -> Verdict:
    """The graph says what the network said that it was exported from."""
    found = metrics.onnx_parity
    if found is None:
        return Verdict(
            "parity", Outcome.REFUSED, "metrics.json does not say how far ONNX is from PyTorch (onnx_parity)"
        )
    faults = [] if 0 <= found <= PARITY else [f"ONNX is {found:.2g} away from PyTorch, not 0 to {PARITY:g}"]
    return judged("parity", faults, f"at most {found:.2g} away from PyTorch")
