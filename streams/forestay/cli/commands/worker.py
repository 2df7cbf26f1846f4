"""`forestay worker`: one worker, against any Kafka and any Triton."""

import typer

from forestay.cli.flags import settings_of


def worker(ctx: typer.Context) -> None:
    """Run a worker against your Kafka and your Triton until it is told to stop.

    Several workers of the same kafka.group_id share the partitions. SIGTERM or Ctrl-C ends it in order: what
    it has done becomes durable, then it leaves the group.

    **Examples**

    ```
    forestay worker --bootstrap-servers kafka-1:9092,kafka-2:9092 --triton-url triton:8001
    forestay worker --config forestay.yaml
    FORESTAY_KAFKA__GROUP_ID=shop-eu forestay worker
    ```
    """
    settings = settings_of(ctx)
    from forestay.shell.worker import run

    raise typer.Exit(run(settings))
