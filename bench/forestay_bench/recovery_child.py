"""What a worker does before it is ready, in a process of its own: `-m forestay_bench.recovery_child PARTITIONS`.

Settings are the environment's, as a worker's. Says RESTORE begin and RESTORE end, each with time and CPU seconds.
"""

import asyncio
import os
import sys
import time

import uvloop

from forestay.configuration import Configuration, load_configuration
from forestay.core.partition import Partition
from forestay.settings import Settings, load_settings
from forestay.shell.memory import settle_memory
from forestay.shell.recovery.recover import Recovered, recover


def restored(settings: Settings, configuration: Configuration, partitions: int) -> list[Partition]:
    """Returns the partitions with their state, as `Engine.take_over` makes them."""
    recovered: dict[int, Recovered] = {}

    async def read() -> None:
        # As no result of the task: `asyncio.run` writes that out, for a message that it then throws away.
        recovered.update(await recover(settings.kafka, settings.topics, range(partitions)))

    asyncio.run(read())
    cores = []
    for number, found in recovered.items():
        cores.append(Partition(number, settings.topics.sources, configuration.rules, configuration.catalogue))
        cores[-1].restore(found.users, found.mark, found.made)
    return cores


def _say(what: str) -> None:
    used = os.times()
    print(f"RESTORE {what} {time.time():.4f} {used.user + used.system:.3f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    chosen = load_settings()
    made_with = load_configuration(chosen)
    settle_memory()
    _say("begin")
    kept = restored(chosen, made_with, int(sys.argv[1]))
    _say("end")
    sys.stdin.read()
