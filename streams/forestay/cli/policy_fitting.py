"""Fits a policy's posterior to logs, for a person who watches or for a machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from forestay.catalogue_file import load_catalogue
from forestay.cli.console import console, print_json, printable, table
from forestay.cli.progress import progress
from forestay_training.offpolicy.own_log import own_log
from forestay_training.offpolicy.records import read_records
from forestay_training.policy.fitting import fit
from forestay_training.policy.projecting import project


class Wanted(NamedTuple):
    """The flags of `forestay policy fit` as they were written."""

    log: Sequence[Path]
    out: Path
    catalogue: Path
    reward_function: str | None
    prior_decisions: float
    embedding: int


def fit_policy(wanted: Wanted, *, as_json: bool) -> None:
    """Writes the posterior, and prints what it rests on.

    Raises:
        ForestayError: logs or catalogue are wrong, or there is too little to learn from.
        OSError: a file cannot be read or written.
    """
    catalogue = load_catalogue(wanted.catalogue)
    with progress() as tell:
        own = own_log(read_records(wanted.log, lambda done: tell("records", done, None)), wanted.reward_function)
        projected = project(own.decisions, wanted.embedding) if wanted.embedding else None
        projection = None if projected is None else projected.projection
        fitted = fit(own, catalogue, wanted.prior_decisions, projection)
    posterior = fitted.posterior
    wanted.out.write_text(posterior.model_dump_json() + "\n")
    offers = {
        offer.id: posterior.heads[offer.id].decisions if offer.id in posterior.heads else 0
        for offer in catalogue.offers
    }
    if as_json:
        found = {"digest": posterior.digest(), "out": str(wanted.out), "reward_function": posterior.function}
        behind = {"nothing": fitted.nothing, "offers": offers, "not_in_catalogue": fitted.gone}
        directions = None
        if projected is not None:
            directions = {
                "axes": wanted.embedding,
                "version": projected.projection.version,
                "decisions": projected.decisions,
                "variance_kept": projected.kept,
            }
        print_json(
            {**found, "embedding": directions, "noise": fitted.noise, "decisions": behind, "left_out": own.left_out}
        )
        return
    rows = table("offer", "decisions", right=("decisions",))
    for offer_id, count in {"(nothing)": fitted.nothing, **offers}.items():
        rows.add_row(printable(offer_id), f"{count:,}")
    console().print(rows)
    left = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in own.left_out.items() if count)
    if fitted.gone:
        left += f"{', ' if left else ''}{fitted.gone:,} of offers that are not in the catalogue"
    if projected is not None:
        console().print(
            f"embedding: {wanted.embedding} directions, {projected.kept:.1%} of the variance in"
            f" {projected.decisions:,} decisions of model version {printable(projected.projection.version)}"
        )
    console().print(f"left out: {left or 'nothing'}")
    console().print(f"{wanted.out}: version {posterior.digest()}, by {printable(posterior.function)}")
