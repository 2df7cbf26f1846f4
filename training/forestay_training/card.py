"""`model_card.md`, written from `metrics.json` so that no figure is copied by hand."""

from collections.abc import Mapping
from typing import Any, Final

from forestay_training.evaluate import MEASURES
from forestay_training.report import RIVALS, TRANSFORMER

_HEADINGS: Final = {
    "auc": "AUC", "average_precision": "AP", "log_loss": "log-loss", "brier": "Brier", "ece": "ECE",
}  # fmt: skip
_PURPOSES: Final = {
    "fit": "fitted on to make choices",
    "validation": "choices are made on",
    "train": "the model is fitted on",
    "calibration": "calibrated on (customers nothing is fitted on)",
    "published": "fitted on for the published set-up",
    "test": "**test**: all active customers at one cutoff",
    "live": "**live test**: what the worker would have asked (events, silences)",
}

_CARD: Final = """# Model card: churn_transformer {version}

Written by `python -m forestay_training`; the figures are those of `metrics.json`.

Gives the probability that a customer who ordered within the last 150 days places **no order in the next
{horizon} days**, from the customer's last 64 steps and {features} rolling features, at the moment of an event or of a
silence. A Transformer of two HuggingFace BERT layers (width 64, {parameters:,} parameters, {kilobytes} kB of ONNX).

## Data

{credit}.
Licence: {licence}. One year (2009-12-01 to 2010-12-09) of a British web shop for gifts, turned into purchase and
refund events. An order is an invoice with at least one product at a price above 0; lines without a customer, postage,
fees and the like are left out. The recording is `recordings/{recording}`, digest
`{digest}`.

Nothing after {trained_until} was seen in training or calibration, labels included.

| what for | rows | customers | churned | moments |
| --- | ---: | ---: | ---: | --- |
{splits}

## Figures

In brackets: 95 % intervals from {draws} draws of customers (for the other measures: `metrics.json`). All models but
the two rows "published train set" are fitted on the same rows, choose their settings on the same validation rows and
are calibrated in the same way (Platt). These two are fitted as the published figures are: on all customers at four
cutoffs, uncalibrated.

On the test split:

{test}

{test_differences}

At the moments the worker asks about, same models:

{live}

{live_differences}

Published for this split (order lines that are no products counted as orders: 2,681 test rows instead of {test_rows}):
recency only AUC .585, logistic regression .683, boosted trees .687. What lies between them and the same kinds of
model above is the features.

**Read it so.** {verdict} Most of what can be known here is recency, frequency and money: half of the sequences hold
two steps or fewer. Many models lie within one interval of each other.

## Limits

- **Calibration does not survive the season.** Calibrated on July, tested on October: before Christmas more customers
  come back ({test_churned:.0%} churned, {train_churned:.0%} in training), and every model says too much churn. One
  year of data cannot teach the season: watch the mean score against matured labels, and calibrate again.
- One shop, one year. December and January are season, not churn, and were never labelled.
- Many customers are wholesalers: long, regular gaps and large baskets. Do not expect the same of consumers.
- Purchases and refunds only. Steps of kinds that training did not see (views, carts, searches) are not looked at, and
  features that never varied are left out; features that count every event alike (`events_total`,
  `hours_since_last_event`, `sessions_total`) do change with them. Train again on your own stream before you rely on
  it.
- The label is silence, not dissatisfaction; and a high risk is no proof that an offer changes anything.

## Use

To rank customers and to size what a retention action may cost. Not for prices, credit or anything with legal or
similarly significant effect on a person. The input holds no name, age, sex or address.

## Make it again

    make model        # or, with the extra `train` installed: python -m forestay_training --seed {seed}

On one kind of CPU the same seed gives the same file. Made in {seconds:.0f} s with
{versions}.
"""


def card(metrics: Mapping[str, Any]) -> str:
    """Returns the card for `metrics` (see `report` and `__main__`)."""
    data, rows = metrics["data"], metrics["splits"]
    return _CARD.format(
        version=metrics["model_version"],
        horizon=metrics["horizon_days"],
        features=metrics["features"],
        parameters=metrics["parameters"],
        kilobytes=round(metrics["bytes"] / 1_000),
        credit=data["credit"],
        licence=data["licence"],
        recording=data["recording"],
        digest=data["digest"],
        trained_until=metrics["trained_until"],
        splits="\n".join(_split(purpose, rows[name]) for name, purpose in _PURPOSES.items()),
        draws=metrics["bootstrap_draws"],
        test=_table(metrics["test"]["figures"]),
        test_differences=_differences(metrics["test"]["differences"]),
        live=_table(metrics["live_test"]["figures"]),
        live_differences=_differences(metrics["live_test"]["differences"]),
        verdict=_verdict(metrics["test"]["differences"]["LightGBM"]["auc"]),
        test_rows=f"{rows['test']['rows']:,}",
        test_churned=rows["test"]["churned"],
        train_churned=rows["train"]["churned"],
        seed=metrics["seed"],
        seconds=metrics["seconds"],
        versions=", ".join(f"{name} {version}" for name, version in metrics["versions"].items()),
    )


def _verdict(auc: tuple[float, float, float]) -> str:
    """Says what the difference in AUC to boosted trees on the same rows allows to be said."""
    _, low, high = auc
    if low > 0:
        return "On this test the Transformer ranks better than boosted trees on the same rows and features."
    if high < 0:
        return "The Transformer ranks worse than boosted trees on the same rows and features."
    return "The Transformer is level with boosted trees on the same rows and features: neither better nor worse."


def _split(purpose: str, rows: Mapping[str, Any]) -> str:
    moments = f"{rows['first_moment'][:10]} to {rows['last_moment'][:10]}"
    return f"| {purpose} | {rows['rows']:,} | {rows['users']:,} | {rows['churned']:.1%} | {moments} |"


def _table(figures: Mapping[str, Any]) -> str:
    head = "| model | " + " | ".join(_HEADINGS[name] for name in MEASURES) + " |"
    lines = [head, "| --- " * (len(MEASURES) + 1) + "|"]
    for model, measures in figures.items():
        name = f"**{model}**" if model == TRANSFORMER else model
        auc, *others = (measures[measure] for measure in MEASURES)
        cells = [f"{auc[0]:.3f} [{auc[1]:.3f}, {auc[2]:.3f}]", *(f"{value:.3f}" for value, _, _ in others)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _differences(differences: Mapping[str, Any]) -> str:
    parts = []
    for rival in RIVALS:
        of = differences[rival]
        spans = (f"{_HEADINGS[name]} {_span(of[name])}" for name in ("auc", "log_loss"))
        parts.append(f"- Transformer minus {rival}: {', '.join(spans)}")
    return "\n".join(parts)


def _span(interval: tuple[float, float, float]) -> str:
    value, low, high = interval
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
