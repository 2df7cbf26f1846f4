"""`forestay ope`: what a policy would have earned, told from the log of another one; a gate before it ships."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_WHAT = "What is judged"
_HOW = "How"
_TELL = "What is told"


def ope(
    *,
    log: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Decisions and outcomes: recordings, folders or JSON lines; repeatable.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ],
    policy: Annotated[
        str,
        typer.Option(
            metavar="CANDIDATE",
            help="A catalogue (YAML), or logged, uniform, nothing; of Open Bandit random, bts.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ],
    form: Annotated[
        Literal["forestay", "open-bandit"],
        typer.Option("--format", help="Whose log it is.", rich_help_panel=_WHAT),
    ] = "forestay",
    reward_function: Annotated[
        str | None,
        typer.Option(
            metavar="NAME/VERSION",
            help="Where outcomes are of several: by which.",
            show_default="the only one",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    by: Annotated[
        Literal["ips", "snips", "dm", "dr", "sndr", "switch", "dros"],
        typer.Option(help="The estimator the verdict goes by.", rich_help_panel=_HOW),
    ] = "dr",
    at_least: Annotated[
        str | None,
        typer.Option(
            metavar="logged|VALUE",
            help="Exit code 1 unless the interval's lower end beats it.",
            show_default=False,
            rich_help_panel=_HOW,
        ),
    ] = None,
    reward_model: Annotated[
        Literal["linear", "trees"], typer.Option(help="What foresees rewards.", rich_help_panel=_HOW)
    ] = "linear",
    draws: Annotated[
        int, typer.Option(metavar="N", min=100, max=20_000, help="Bootstrap draws of users.", rich_help_panel=_HOW)
    ] = 1_000,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of draws and folds.", rich_help_panel=_HOW)] = 7,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write a page with plots too.", show_default=False, rich_help_panel=_TELL
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=_TELL)] = False,
) -> None:
    r"""Judge a policy by the log of another one, before any user meets it.

    Every logged decision holds what could be chosen and with what probability; its outcome says what came of it.
    From both, seven estimators tell what CANDIDATE would have earned a decision, with 95 % intervals from a bootstrap
    by user. A catalogue weighs the candidates of each decision anew. Decisions without an outcome are immature, and
    those with nothing to choose tell nothing: they are left out and counted.

    Nothing is ranked, and the exit code is 1, if less than 5 % of the decisions count (effective sample size) or less
    than 200, if more than 1 % of CANDIDATE's choices had no chance in the log, or if the log does not value its own
    policy at what that earned. Needs the extra `train`; docs/ope.md.

    **Examples**

    ```
    forestay ope --log october --policy new-catalogue.yaml --at-least logged
    forestay ope --log decisions.parquet --log outcomes.parquet --policy uniform --report ope.html
    forestay ope --log random/all --format open-bandit --policy bts --json
    ```
    """
    from forestay.cli.console import print_json
    from forestay.cli.policy_judging import Asked, judge, show

    gate = _gate(at_least)
    asked = Asked(log, policy, form, reward_function, by, gate, reward_model, draws, seed, report)
    found = judge(asked)
    if as_json:
        print_json(found)
    else:
        show(found)
    verdict = found["verdict"]
    if not verdict["ranked"] or verdict["passed"] is False:
        raise typer.Exit(1)


def _gate(text: str | None) -> float | str | None:
    if text is None or text == "logged":
        return text
    try:
        return float(text)
    except ValueError as error:
        raise typer.BadParameter(f"--at-least {text}: a value, or the word logged") from error
