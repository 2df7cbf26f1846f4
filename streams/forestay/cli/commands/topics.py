"""`forestay topics`: make the topics and look at them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from forestay.cli.console import console, print_json, table
from forestay.cli.flags import settings_of

if TYPE_CHECKING:
    from forestay.shell.topics import TopicDescription

app = typer.Typer(no_args_is_help=True, help="Make Forestay's topics and look at them.")
_UNFENCED = (
    "none for transactional ids: kafka.fencing or kafka.idempotent_producer is off in these settings, as in those"
    " that `forestay up` writes for its broker, which has no transactions; with your broker's settings"
    " they are among them"
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]


@app.command()
def declare(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Make the topics that are missing; those that exist are left alone but checked.

    All get the same number of partitions: as many as the clickstream has, or topics.partitions. But for the
    catalogue's, which has one.

    **Examples**

    ```
    forestay topics declare
    forestay topics declare --bootstrap-servers kafka:9092 --set topics.replication_factor=3
    ```
    """
    from forestay.shell import topics

    settings = settings_of(ctx)
    declared = topics.declare(settings.kafka, settings.topics)
    if as_json:
        print_json(declared._asdict())
        return
    out = console()
    for name in topics.every_role(settings.topics).values():
        out.print(f"{'made ' if name in declared.created else 'found'}  {name}")
    out.print(f"all have {declared.partitions} partitions, but {settings.topics.catalogue}, which has one")


@app.command()
def permissions(
    ctx: typer.Context,
    part: Annotated[str, typer.Argument(metavar="PART", help="Who needs them.")] = "worker",
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Kafka's principal, without User:.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the kafka-acls commands that give a part of Forestay what it needs, and no more; nothing is run.

    PART is worker, adapter, send, tail, record, replay, repair, backfill, catalogue, declare, describe or doctor.

    **Examples**

    ```
    forestay topics permissions
    forestay topics permissions adapter --user shop-adapter --set adapter.topic=shop-events
    ```
    """
    from forestay.shell.permissions import USER, Part, commands, needed

    if user is not None and not user.strip():
        raise typer.BadParameter("--user is empty: name Kafka's principal, without User:")
    if part not in list(Part):
        raise typer.BadParameter(f"{part} is none of {', '.join(Part)}")
    settings = settings_of(ctx)
    grants = needed(Part(part), settings)
    lines = commands(grants, user or settings.kafka.sasl_username or USER)
    if as_json:
        print_json({"permissions": [grant._asdict() for grant in grants], "commands": lines})
    else:
        for line in lines:
            typer.echo(line)
        if part == Part.WORKER and not settings.kafka.fenced:
            typer.echo(_UNFENCED, err=True)


@app.command()
def describe(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show partitions, copies, settings, offsets, and how far behind the workers are.

    The exit code is 1 if no topic is there.

    **Examples**

    ```
    forestay topics describe
    forestay topics describe --json | jq '.topics[] | select(.lag > 0)'
    ```
    """
    from forestay.shell import topics

    settings = settings_of(ctx)
    found = topics.describe(settings.kafka, settings.topics)
    missing = [
        name for name in topics.every_role(settings.topics).values() if name not in {topic.name for topic in found}
    ]
    if as_json:
        print_json({"topics": [_as_json(topic) for topic in found], "missing": missing})
    else:
        _show(found)
        for name in missing:
            console().print(f"missing: {name} (make it with `forestay topics declare`)")
    topics.check_equal({topic.name: topic.partitions for topic in found}, settings.topics)
    if not found:
        raise typer.Exit(1)


def _as_json(topic: "TopicDescription") -> dict[str, Any]:
    return topic._asdict() | {"records": topic.records, "lag": topic.lag}


def _show(found: list["TopicDescription"]) -> None:
    rows = table(
        "topic",
        "partitions",
        "copies",
        "records",
        "first..end by partition",
        "lag",
        "settings",
        right=("partitions", "copies", "records", "lag"),
    )
    for topic in found:
        offsets = " ".join(f"{topic.first[number]}..{end}" for number, end in sorted(topic.end.items()))
        rows.add_row(
            topic.name,
            str(topic.partitions),
            str(topic.replicas),
            f"{topic.records:,}",
            offsets,
            "" if topic.lag is None else f"{topic.lag:,}",
            " ".join(f"{name}={value}" for name, value in sorted(topic.configs.items())),
        )
    console().print(rows)
