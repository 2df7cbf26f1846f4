"""`forestay experiment`: plan, deal, read and doubt experiments."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from forestay.cli.flags import settings_of

_HELP = """
Find out what offers do: plan an experiment, see who is in it, read it out.

An experiment stands in the catalogue: users are dealt to its arms by a hash, workers decide as the arms say, and the
decision topic is its log. docs/experiments.md says more.

**Examples**

```
forestay experiment plan --mean 0.3 --lift 0.06 --users-a-day 500 --horizon 28
forestay experiment assign u1234
forestay experiment read coupon-or-not --log archive --html coupon.html
forestay experiment simulate
```
"""
app = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode="markdown")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
CatalogueFile = Annotated[
    Path | None,
    typer.Option("--catalogue", metavar="FILE", help="With the experiment in it.", show_default="the one in force"),
]
_METRIC = "The metric"
_DESIGN = "The experiment"


@app.command()
def plan(
    ctx: typer.Context,
    *,
    lift: Annotated[float, typer.Option(help="Relative: 0.06 is 6 % more.", rich_help_panel=_METRIC)],
    log: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Decisions and outcomes that tell the rest; repeatable.",
            show_default=False,
            rich_help_panel=_METRIC,
        ),
    ] = None,
    metric: Annotated[
        Literal["ordered", "returned", "net_margin"],
        typer.Option(help="Which, of the log.", rich_help_panel=_METRIC),
    ] = "ordered",
    mean: Annotated[
        float | None, typer.Option(help="Of the metric as it is now.", show_default=False, rich_help_panel=_METRIC)
    ] = None,
    deviation: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Its standard deviation.", show_default="that of a share of users", rich_help_panel=_METRIC
        ),
    ] = None,
    variance_cut: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.99, help="Share of its variance that score and history tell.", rich_help_panel=_METRIC
        ),
    ] = 0.0,
    power: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Chance of finding the lift.", rich_help_panel=_DESIGN)
    ] = 0.8,
    alpha: Annotated[
        float, typer.Option(min=1e-6, max=0.499, help="Chance of a false discovery.", rich_help_panel=_DESIGN)
    ] = 0.05,
    arms: Annotated[int, typer.Option(min=2, max=8, help="With the control.", rich_help_panel=_DESIGN)] = 2,
    looks: Annotated[
        int, typer.Option(min=1, max=100, help="How often it may be read.", rich_help_panel=_DESIGN)
    ] = 5,
    users_a_day: Annotated[
        float | None,
        typer.Option(min=0.001, help="Exposed, in all arms.", show_default=False, rich_help_panel=_DESIGN),
    ] = None,
    horizon: Annotated[
        float,
        typer.Option(metavar="DAYS", min=0.0, help="From exposure to the metric.", rich_help_panel=_DESIGN),
    ] = 28.0,
    as_json: AsJson = False,
) -> None:
    """Say how many users an experiment needs, and for how long, before it begins.

    One look at the end needs the fewest users; several looks need a few more at most, and fewer on average if the
    lift is there. Several arms are each compared with the control, at alpha divided among them. With --log mean,
    deviation, horizon, users a day and what covariates take off the variance are those of the users who were acted
    upon in it. Needs the extra `train`.

    **Examples**

    ```
    forestay experiment plan --mean 0.3 --lift 0.06
    forestay experiment plan --log archive --lift 0.1 --looks 8
    forestay experiment plan --mean 12.5 --deviation 40 --lift 0.1 --users-a-day 800 --horizon 28 --variance-cut 0.3
    ```
    """
    from forestay.cli import experimenting

    if mean is not None and log is None:
        told = experimenting.Baseline(mean, deviation, variance_cut, users_a_day, horizon)
    elif mean is None and log is not None:
        told = experimenting.of_log(settings_of(ctx), log, metric)
    else:
        raise typer.BadParameter("say what the metric is like: --mean, or --log FILE to read it there")
    experimenting.plan(told, experimenting.Design(lift, power, alpha, arms, looks), as_json=as_json)


@app.command()
def assign(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(help="The user's id.", show_default=False)],
    *,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    """Show which arms a user is in, and why: holdout, layer, bucket.

    Nobody is asked and nothing is looked up: ids and salts decide. Dates and audience are told, not judged.

    **Examples**

    ```
    forestay experiment assign u1234
    forestay experiment assign u1234 --catalogue next.yaml --json
    ```
    """
    from forestay.cli import assigning

    assigning.assign(settings_of(ctx), user, catalogue, as_json=as_json)


@app.command()
def read(
    ctx: typer.Context,
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its id.", show_default=False)],
    *,
    log: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="Recordings of decisions and outcomes; repeatable.", show_default=False),
    ],
    catalogue: CatalogueFile = None,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Read what was known then.", show_default="the latest outcome's time"),
    ] = None,
    a_a: Annotated[
        int,
        typer.Option(
            "--a-a", metavar="N", min=0, max=10_000, help="Deal the users at random N times over, and count."
        ),
    ] = 0,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with drawings too.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read an experiment out: what its plan allows to be said by now, and no more.

    A user counts from the first decision that the arms would not all have made alike, once the horizon is over: by
    the calendar, in all arms. The primary metric is looked at as often as the plan says, whoever asks; the others are
    told when it is decided; guardrails may be looked at at any time. If the arms' sizes are no accident (p below
    0.001), no effect is shown and the exit code is 1. Needs the extra `train`; docs/experiments.md says what is
    computed.

    **Examples**

    ```
    forestay experiment read coupon-or-not --log archive
    forestay experiment read coupon-or-not --log november --log december --as-of 2026-12-24 --json
    forestay experiment read coupon-or-not --log archive --a-a 500
    ```
    """
    from forestay.cli import experimenting

    wanted = experimenting.Wanted(experiment, log, catalogue, as_of, a_a, html)
    if not experimenting.read(settings_of(ctx), wanted, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def simulate(
    *,
    users: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="Of both arms.")] = 20_000,
    looks: Annotated[int, typer.Option(min=1, max=100, help="As they mature.")] = 14,
    base: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share that returns.")] = 0.3,
    explained: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of its variance that the score tells.")
    ] = 0.15,
    lift: Annotated[
        list[float] | None, typer.Option(help="Relative; repeatable.", show_default="0.04, 0.06, 0.08")
    ] = None,
    simulations: Annotated[int, typer.Option(metavar="N", min=10, max=100_000)] = 2_000,
    seed: Annotated[int, typer.Option(metavar="N", min=0)] = 7,
    as_json: AsJson = False,
) -> None:
    """Show on made-up users how often each way of reading errs where nothing is going on, and finds what is.

    Peeking at a fixed-horizon test, one look at the end, group-sequential looks and confidence sequences, each with
    and without the score as covariate. The users are synthetic. A minute with the defaults. Needs the extra `train`.

    **Examples**

    ```
    forestay experiment simulate
    forestay experiment simulate --lift 0.05 --simulations 200 --json
    ```
    """
    from forestay.cli import experimenting

    scene = experimenting.Scene(users, looks, base, explained, simulations=simulations, seed=seed)
    experimenting.simulate(scene, [0.0, *(lift or (0.04, 0.06, 0.08))], as_json=as_json)
