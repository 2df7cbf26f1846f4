"""All gates, in the order in which they are told."""

from pathlib import Path

from forestay.shipping.errors import ShippingError
from forestay.shipping.figures import Metrics, read_figures
from forestay.shipping.folder import CONFIG, PARTS, part
from forestay.shipping.gates import files, graph, quality
from forestay.shipping.gates.rows import no_worse_here
from forestay.shipping.gates.verdict import Outcome, Verdict, judged
from forestay.shipping.triton_config import read_config


def judge(candidate: Path, name: str, current: Path | None, data: Path | None = None) -> list[Verdict]:
    """Returns what the gates say of a folder that is to become a version of the model `name`.

    `current` is the folder of the version to beat, None where there is none; `data` a training set on whose test rows
    both are asked. Where the files are not whole, the other gates have nothing to look at.
    """
    missing = [name for name in PARTS if not part(candidate, name).is_file()]
    if missing:
        words = f"{candidate} lacks {', '.join(missing)}: `forestay train --out` writes all of them"
        return [Verdict("files", Outcome.REFUSED, words, final=True)]
    try:
        metrics = read_figures(candidate)
        config = read_config(part(candidate, CONFIG))
    except ShippingError as error:
        return [Verdict("files", Outcome.REFUSED, str(error), final=True)]
    rows = [no_worse_here(candidate, current, data)] if data is not None and current is not None else []
    return [
        files.whole(candidate, config, metrics, name),
        files.reads_our_input(config, metrics),
        files.small(candidate),
        files.parity(metrics),
        quality.figures_told(metrics),
        quality.no_worse(metrics, _known(current)),
        *rows,
        quality.calibrated(metrics),
        _keeps_outputs(candidate, current),
        graph.answers(candidate),
        graph.fast(candidate, current),
    ]


def _known(current: Path | None) -> Metrics | None:
    """Returns the figures of the version that is there: without any, it is none to compare with."""
    try:
        return None if current is None else read_figures(current)
    except ShippingError:
        return None


def _keeps_outputs(candidate: Path, current: Path | None) -> Verdict:
    """It has every output that the current version has: workers may use them."""
    had = set() if current is None else {output.name for output in read_config(part(current, CONFIG)).output}
    has = {output.name for output in read_config(part(candidate, CONFIG)).output}
    faults = [f"it lacks {', '.join(sorted(had - has))}, which the current version has"] if had - has else []
    return judged("outputs", faults, ", ".join(sorted(has)))
