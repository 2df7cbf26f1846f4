"""Looks at the state for a person who decides."""

import asyncio

from forestay.cli.featuring import rules_of
from forestay.settings import Settings
from forestay.shell.recovery.checks import Damage
from forestay.shell.recovery.repair import Repairer
from forestay.shell.topics import check_all, partition_counts


def look(settings: Settings, *, write: bool, same_offsets: bool) -> list[Damage]:
    """Returns what is wrong with the state, repaired if `write`.

    Raises:
        ConfigurationError: the topics are not as they should be, workers are at work, or no repair helps.
        ForestayError: the state cannot be read or written.
        kafka.errors.KafkaError: no broker answers.
    """
    counts = partition_counts(settings.kafka, settings.topics.names)
    check_all(counts, settings.topics)
    partitions = counts[settings.topics.clickstream]
    repairer = Repairer(settings, rules_of(settings), partitions, same_offsets=same_offsets)
    return asyncio.run(repairer.repair() if write else repairer.examine())
