"""Budgets, looked at for a person."""

import asyncio
from itertools import chain
from typing import Any

from rich.progress import track

from forestay.budgets.simulation import SWING, Setting, figures, simulate
from forestay.budgets.status import Standing, books_of, read_kept, standings
from forestay.cli.catalogue_changing import found_in_force
from forestay.cli.console import console
from forestay.settings import Settings
from forestay.shell.topics import check_all, partition_counts


def look(settings: Settings) -> tuple[list[Standing], int]:
    """Returns what became of all accounts of the catalogue in force, and how many partitions share them.

    Raises:
        ConfigurationError: the catalogue or the topics are not as they should be.
        ForestayError: the state cannot be read.
        kafka.errors.KafkaError: no broker answers.
    """
    budgets = found_in_force(settings)[0].budgets
    counts = partition_counts(settings.kafka, settings.topics.names)
    check_all(counts, settings.topics)
    partitions = counts[settings.topics.clickstream]
    kept = asyncio.run(read_kept(settings.kafka, settings.topics, partitions))
    return standings(budgets, books_of(budgets, kept)), partitions


def simulated(users: int, limit: int, partitions: int, seeds: int, *, moves: bool) -> dict[str, dict[str, Any]]:
    """Returns the figures of days whose values stand still, and of days with a season."""
    setting = Setting(users, limit, partitions, moves)
    runs = chain(simulate(setting, range(seeds)), simulate(setting, range(seeds), SWING))
    told = list(track(runs, "spending", 2 * seeds, console=console(stderr=True), transient=True))
    return {"steady": figures(told[:seeds]), "seasonal": figures(told[seeds:])}
