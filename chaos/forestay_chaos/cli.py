"""The command line of scripts/chaos."""

import json
import random
import signal
import sys
import time
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from support.java import JavaFailedError, JavaUnavailableError

from forestay.core.errors import ForestayError
from forestay_chaos.campaign import Campaign
from forestay_chaos.engines import ENGINES, Engine
from forestay_chaos.errors import ChaosError
from forestay_chaos.paths import KEPT
from forestay_chaos.scenario import chosen, compose
from forestay_chaos.screen import Screen
from forestay_chaos.totals import totals

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)

_EPILOG = """
**Examples**

  make chaos                                       ten runs of a new seed\n
  scripts/chaos --runs 200 --seed 1 > chaos.json   a campaign whose seeds are 1 to 200\n
  scripts/chaos --runs 1 --seed 37 --keep          run 37 of it again, with all logs\n
  scripts/chaos --faults worker-stall,broker       only workers and brokers that stand still or go\n
  scripts/chaos --engine stock --runs 20           stock Faust; give Forestay the same by --faults plain\n
  scripts/chaos --runs 60 --list                   what each seed would do

A run that fails leaves its logs in .forestay/chaos/seed-N: `findings.txt` says what is wrong, `faults.log` what was
done and when, `wN.M.log` what the M-th process of worker N said. docs/reliability.md says how to read them.
"""


@app.command(epilog=_EPILOG)
def chaos(
    *,
    runs: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the first run; each has the next. None: any.")] = None,
    faults: Annotated[str, typer.Option(help="Kinds, by commas; a kind without @stage is all its stages.")] = "",
    engine: Annotated[
        str, typer.Option(help="What is put under fire: forestay, or stock (Faust, the same shop).")
    ] = ("forestay"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the logs of good runs too.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Only say what the seeds stand for.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The JSON on one line.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the JSON to this file too, after each run.")] = None,
) -> None:
    """Break things while traffic flows, and count what came of it.

    Three brokers of real Apache Kafka, a real Triton and real workers on loopback. Each run has a seed, which
    names its traffic, its faults and their moments. An oracle that shares no code with the engine then reads all
    topics.

    Ends with one JSON object on stdout. Exit code 1 unless everything that must be 0 is.
    """
    first = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    screen = Screen(Console(stderr=True))
    signal.signal(signal.SIGTERM, _as_exit)
    signal.signal(signal.SIGHUP, _as_exit)
    try:
        under_fire = _engine(engine)
        kinds = chosen(faults, under_fire.kinds)
        scenarios = [compose(first + number, kinds) for number in range(runs)]
        if only_list:
            for scenario in scenarios:
                screen.scenario(scenario)
            return
        screen.error(f"seed {first}")
        result = _play(scenarios, first, screen, out, Campaign.open(keep, under_fire))
    except (ChaosError, ForestayError, JavaUnavailableError, JavaFailedError) as error:
        sys.exit(f"chaos: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    print(json.dumps(result, indent=None if as_json else 1), flush=True)  # noqa: T201
    if not result["good"]:
        screen.error(f"logs of what failed: {KEPT}")
        raise typer.Exit(1)


def _engine(name: str) -> Engine:
    if name not in ENGINES:
        raise ChaosError(f"no such engine: {name}; there are {', '.join(ENGINES)}")
    return ENGINES[name]


def _play(
    scenarios: list[Any], first: int, screen: Screen, out: Path | None, opened: AbstractContextManager[Campaign]
) -> dict[str, Any]:
    began = time.monotonic()
    with screen.campaign(len(scenarios)) as tell, opened as campaign:
        for number, scenario in enumerate(scenarios):
            try:
                outcome = campaign.play(scenario, partial(tell, number, scenario.seed))
            except ChaosError as error:
                campaign.errors.append(str(error))
                break
            if outcome is None:
                screen.error(campaign.errors[-1])
            else:
                screen.played(outcome)
            if out is not None:
                out.write_text(json.dumps(_result(campaign, first, began), indent=1) + "\n")
        return _result(campaign, first, began)


def _result(campaign: Campaign, first: int, began: float) -> dict[str, Any]:
    return totals(campaign.outcomes, first, time.monotonic() - began, campaign.errors)


def _as_exit(number: int, _: object) -> None:
    """Turns a signal into an orderly end, so that brokers, Triton and workers go too."""
    sys.exit(128 + number)
