"""The application: common flags and the list of commands."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.commands import (
    adapt,
    adapt_model,
    backfill,
    budget,
    catalogue,
    config,
    dataset,
    demo,
    diff,
    doctor,
    evaluate,
    experiment,
    fair,
    features,
    items,
    model,
    ope,
    policy,
    record,
    repair,
    replay,
    rerun,
    send,
    simulate,
    tail,
    topics,
    train,
    tune,
    up,
    uplift,
    watch,
    why,
    worker,
)
from forestay.cli.flags import Flags, use_config
from forestay.cli.group import ForestayGroup

_EPILOG = """
**Start here**

  forestay demo                  a recorded shop through the whole path, in minutes\n
  forestay up                    broker, Triton and worker to try things with\n
  forestay doctor                what is missing, and what to do about it

Settings come from flags, then FORESTAY_* variables, then forestay.yaml, then defaults; `forestay config` shows
which. The options above may stand before or after the command.
"""

app = typer.Typer(
    name="forestay",
    cls=ForestayGroup,
    help="Foresees who is about to leave a shop, and acts in time to make them stay.",
    epilog=_EPILOG,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"forestay {version('forestay')}")
        raise typer.Exit


@app.callback()
def common(
    ctx: typer.Context,
    *,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings file in YAML.", show_default=False)
    ] = None,
    bootstrap_servers: Annotated[
        str | None, typer.Option(metavar="HOST:PORT,...", help="Kafka's addresses.", show_default=False)
    ] = None,
    triton_url: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Triton's gRPC address.", show_default=False)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, for instance worker.clock=none; repeatable."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """Keeps the common flags for the command."""
    del version
    # Its errors are told once, in words; the worker sets up logging of its own.
    logging.getLogger("kafka").addHandler(logging.NullHandler())
    # The doctor tells of a missing file as of all else: as a check that failed.
    if ctx.invoked_subcommand != "doctor":
        use_config(config_file)
    ctx.obj = Flags(bootstrap_servers, triton_url, tuple(assignments or ()), config_file)


_RUN = "Run it"
_KAFKA = "Work with the topics"
_LEARN = "Learn from it"
_LOOK = "Look after it"

app.command(rich_help_panel=_RUN)(demo.demo)
app.command(rich_help_panel=_RUN)(up.up)
app.command(rich_help_panel=_RUN)(worker.worker)
app.add_typer(topics.app, name="topics", rich_help_panel=_KAFKA)
app.command(rich_help_panel=_KAFKA)(send.send)
app.command(rich_help_panel=_KAFKA)(tail.tail)
app.command(rich_help_panel=_KAFKA)(record.record)
app.command(rich_help_panel=_KAFKA)(replay.replay)
app.command(rich_help_panel=_KAFKA)(adapt.adapt)
app.command(rich_help_panel=_KAFKA)(backfill.backfill)
app.command(rich_help_panel=_LOOK)(rerun.rerun)
app.command(rich_help_panel=_LOOK)(diff.diff)
app.command(rich_help_panel=_LOOK)(watch.watch)
app.command(rich_help_panel=_LOOK)(why.why)
app.command(rich_help_panel=_LOOK)(features.features)
app.add_typer(budget.app, name="budget", rich_help_panel=_LOOK)
app.command(rich_help_panel=_LEARN)(dataset.dataset)
app.command(rich_help_panel=_LEARN)(train.train)
app.command(rich_help_panel=_LEARN)(tune.tune)
app.command("adapt-model", rich_help_panel=_LEARN)(adapt_model.adapt_model)
app.command(rich_help_panel=_LEARN)(evaluate.evaluate)
app.command(rich_help_panel=_LEARN)(ope.ope)
app.command(rich_help_panel=_LEARN)(fair.fair)
app.add_typer(items.app, name="items", rich_help_panel=_LEARN)
app.add_typer(policy.app, name="policy", rich_help_panel=_LEARN)
app.command(rich_help_panel=_LEARN)(uplift.uplift)
app.command(rich_help_panel=_LEARN)(simulate.simulate)
app.add_typer(experiment.app, name="experiment", rich_help_panel=_LEARN)
app.add_typer(model.app, name="model", rich_help_panel=_LEARN)
app.add_typer(catalogue.app, name="catalogue", rich_help_panel=_LOOK)
app.command(rich_help_panel=_LOOK)(doctor.doctor)
app.command(rich_help_panel=_LOOK)(repair.repair)
app.command(rich_help_panel=_LOOK)(config.config)
