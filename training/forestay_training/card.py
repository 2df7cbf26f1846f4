"""`model_card.md`, written from `metrics.json` so that no figure is copied by hand."""

from collections.abc import Mapping
from typing import Any, Final

_HEADINGS: Final = {
    "auc": "AUC", "average_precision": "AP", "lift_at_10": "lift@10 %", "log_loss": "log-loss", "brier": "Brier",
    "ece": "ECE", "calibration_slope": "slope",
}  # fmt: skip
_PURPOSES: Final = {
    "train": "the models are fitted on",
    "calibration": "the epoch is chosen and all are calibrated on (users nothing is fitted on)",
    "test": "**test**",
}
_NAMES: Final = {
    "recency": "recency alone", "logistic": "logistic regression", "lightgbm": "LightGBM, tuned",
    "fused": "**fused Transformer: the model**", "blend": "mean logit of both, calibrated again",
}  # fmt: skip

_CARD: Final = """# Model card: churn_transformer {version}

Written by `forestay train`; the figures are those of `metrics.json`.

Gives the probability that a user **has left in the next {horizon} days**, by the label of its training set
(`{label}`), the curve of their silence up to each of {horizons}, and what speaks for and against by groups of
features: {groups}. It reads the user's last 64 steps and {features} rolling features at any moment. HuggingFace BERT
layers, {parameters:,} parameters, {kilobytes} kB of ONNX.

## Data

{about}Sources: {sources}. Manifest of the training set: `{manifest}`. Nothing after {trained_until} was seen in
training or calibration, labels included.

| what for | rows | users | have left | cutoffs |
| --- | ---: | ---: | ---: | --- |
{rows}

## Figures on the test rows

In brackets: 95 % intervals from {draws} draws of users. All models are fitted on the same rows and calibrated in the
same way (Platt, on users nothing is fitted on).

{figures}

{differences}

**Read it so.** {verdict} Probabilities are calibrated on the newest rows whose labels had ended before the test
began: where the season moves the base rate, their level moves with it, and the order of users stays. `forestay
evaluate` judges the model on any file of events, by month and segment.

## Limits

- The label is silence, not dissatisfaction; and a high risk is no proof that an offer changes anything.
- Kinds of steps that training did not see are not looked at, and features that never varied there are left out: train
  again on your own stream before you rely on it.
- The shares of groups of features are exact shares of the model's log-odds, not causes. `steps` holds what the steps,
  and steps and features together, say.

## Use

To rank users and to size what a retention action may cost. Not for prices, credit or anything with legal or similarly
significant effect on a person. The input holds no name, age, sex or address.

## Made with

Forestay {forestay}, commit {commit}, seed {seed}, {seconds:.0f} s, {versions}. On one kind of CPU the same training
set, seed and recipe give the same file.
"""


def card(metrics: Mapping[str, Any], about: str) -> str:
    """Returns the card for `metrics` (see `run.train`); `about` says where the data is from and under which terms."""
    data, test = metrics["data"], metrics["test"]
    return _CARD.format(
        version=metrics["model_version"],
        horizon=metrics["horizon_days"],
        label=metrics["label"],
        horizons=", ".join(metrics["horizons"]),
        groups=", ".join(metrics["groups"]),
        features=metrics["features"],
        parameters=metrics["parameters"],
        kilobytes=round(metrics["bytes"] / 1_000),
        about=f"{about.strip()}\n\n" if about.strip() else "",
        sources=", ".join(f"`{source['name']}`" for source in data["sources"]),
        manifest=data["manifest"][:16],
        trained_until=metrics["trained_until"],
        rows="\n".join(_rows(purpose, metrics["rows"][name]) for name, purpose in _PURPOSES.items()),
        draws=metrics["bootstrap_draws"],
        figures=_table(test["figures"]),
        differences="\n".join(_difference(rival, of) for rival, of in test["differences"].items()),
        verdict=_verdict(test["differences"]["lightgbm"]["auc"]),
        forestay=metrics["code"]["forestay"],
        commit=metrics["code"]["commit"] or "unknown",
        seed=metrics["seed"],
        seconds=metrics["seconds"],
        versions=", ".join(f"{name} {version}" for name, version in metrics["versions"].items()),
    )


def _verdict(auc: tuple[float | None, float | None, float | None]) -> str:
    """Says what the difference in AUC to boosted trees on the same rows allows to be said."""
    _, low, high = auc
    if low is None or high is None:
        return "The test is too small to tell the model from tuned boosted trees."
    if low > 0:
        return "On this test the model ranks better than tuned boosted trees on the same rows and features."
    if high < 0:
        return "The model ranks worse than tuned boosted trees on the same rows and features."
    return "The model is level with tuned boosted trees on the same rows and features: neither better nor worse."


def _rows(purpose: str, rows: Mapping[str, Any]) -> str:
    span = f"{rows['first_cutoff'][:10]} to {rows['last_cutoff'][:10]}"
    return f"| {purpose} | {rows['rows']:,} | {rows['users']:,} | {rows['churned']:.1%} | {span} |"


def _table(figures: Mapping[str, Any]) -> str:
    head = "| model | " + " | ".join(_HEADINGS.values()) + " |"
    lines = [head, "| --- " * (len(_HEADINGS) + 1) + "|"]
    for model, measures in figures.items():
        (value, low, high), *others = (measures[measure] for measure in _HEADINGS)
        cells = [f"{_of(value)} [{_of(low)}, {_of(high)}]", *(_of(other[0]) for other in others)]
        lines.append(f"| {_NAMES[model]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _difference(rival: str, of: Mapping[str, Any]) -> str:
    spans = (f"{_HEADINGS[name]} {_span(of[name])}" for name in ("auc", "log_loss"))
    return f"- fused minus {rival}: {', '.join(spans)}"


def _span(interval: tuple[float | None, float | None, float | None]) -> str:
    value, low, high = interval
    return f"{_of(value, '+.4f')} [{_of(low, '+.4f')}, {_of(high, '+.4f')}]"


def _of(value: float | None, form: str = ".3f") -> str:
    """Returns a figure; one that the test is too small for, or that there is none of, is a dash."""
    return "-" if value is None else format(value, form)
