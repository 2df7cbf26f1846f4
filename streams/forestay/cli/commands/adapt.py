"""`forestay adapt`: foreign events become click events."""

from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import settings_of

_File = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="Foreign events to convert, with --out.", show_default=False)
]


def adapt(
    ctx: typer.Context,
    file: _File = None,
    *,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Show what the mapping does to a sample.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl", help="Write click events here (in place of an older file).", show_default=False
        ),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Map a Kafka topic until told to stop.")] = False,
    profiles: Annotated[bool, typer.Option("--profiles", help="List the built-in mappings.")] = False,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A built-in mapping.", show_default=False)
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="A mapping of your own.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N records.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False,
) -> None:
    """Turn foreign events into click events, by a built-in profile or a small mapping file.

    First look what a mapping does to a sample of yours: CSV, JSON lines or a JSON array. The exit code is 1 if
    any record fails, or if a check finds no event at all. Then convert whole files, or let an agent map a Kafka
    topic onto the clickstream, keyed by user: settings adapter.topic and adapter.profile (or adapter.mapping).
    docs/adapters.md shows a mapping file.

    **Examples**

    ```
    forestay adapt --profiles
    forestay adapt --check sample.jsonl --profile segment
    forestay adapt --check 2019-Oct.csv --profile rees46 --limit 100000 --json
    forestay adapt --check sample.jsonl --mapping shop.yaml
    forestay adapt 2019-Oct.csv --profile rees46 --out events.jsonl
    forestay adapt --run --set adapter.topic=segment-events --set adapter.profile=segment
    ```
    """
    if [check is not None, file is not None, run, profiles].count(True) != 1:
        raise typer.BadParameter("say one of: --check FILE, FILE --out FILE.jsonl, --run, --profiles")
    if (file is None) != (out is None):
        raise typer.BadParameter("a file to convert needs --out FILE.jsonl, and --out a file to convert")
    if profile is not None and mapping is not None:
        raise typer.BadParameter("--profile and --mapping exclude each other")
    if limit is not None and (run or profiles):
        raise typer.BadParameter("--limit is for --check and --out")
    if profiles:
        _list_profiles(as_json=as_json)
        return
    from forestay.cli.adapting import adapter_of, check_file, convert_file, summary_text

    settings = settings_of(ctx)
    adapter = adapter_of(settings, profile, mapping)
    if check is not None:
        report = check_file(adapter, check, limit)
    elif file is not None and out is not None:
        report = convert_file(adapter, file, out, limit)
    else:
        from forestay.shell.adapter.agent import run_adapter

        run_adapter(settings, adapter)
        return
    if as_json:
        print_json(report.summary())
    else:
        typer.echo(summary_text(report.summary(), examples=check is not None))
    if report.failures or (check is not None and not report.mapped):
        raise typer.Exit(1)


def _list_profiles(*, as_json: bool) -> None:
    from forestay.adapters.loading import describe_mapping, load_profile, profile_names
    from forestay.cli.console import console, table

    described = [describe_mapping(load_profile(name)) for name in profile_names()]
    if as_json:
        print_json(described)
        return
    listed = table("profile", "reads", "documented at")
    for entry in described:
        listed.add_row(entry["name"], entry["description"], entry["source"])
    console().print(listed)
