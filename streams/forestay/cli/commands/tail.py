"""`forestay tail`: watch what Forestay puts on its topics."""

from enum import StrEnum
from typing import Annotated

import typer

from forestay.cli.flags import settings_of


class What(StrEnum):
    """What can be watched."""

    ACTIONS = "actions"
    DECISIONS = "decisions"
    OUTCOMES = "outcomes"
    DEAD_LETTERS = "dead-letters"


def tail(
    ctx: typer.Context,
    what: Annotated[What, typer.Argument(help="Which records to watch.", show_default=False)],
    *,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest record.")] = False,
    follow: Annotated[bool, typer.Option(help="Wait for new records; without, stop at the end.")] = True,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after N records.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a record.")] = False,
) -> None:
    """Watch actions, decisions, what came of them, or dead letters as they come.

    **Examples**

    ```
    forestay tail actions
    forestay tail decisions --from-start --limit 100 --json | jq .churn.probability
    forestay tail dead-letters --from-start --no-follow
    ```
    """
    from forestay.cli.tailing import Tail

    settings = settings_of(ctx)
    topics = settings.topics
    topic = getattr(topics, what.replace("-", "_"))
    Tail(settings.kafka, topic, from_start=from_start, follow=follow, limit=limit).show(what, as_json=as_json)
