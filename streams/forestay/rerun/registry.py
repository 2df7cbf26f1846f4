"""Schemas of values that are not JSON, for a rerun."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from forestay.core.record import Record
from forestay.rerun.event_time import Prepare
from forestay.rerun.lane import Plan
from forestay.settings import Settings, ValueFormat
from forestay.shell.registry.schemas import Schemas


@contextmanager
def prepared(settings: Settings, plan: Plan) -> Iterator[tuple[Plan, Prepare | None]]:
    """Yields the plan with the decoder of the clickstream's values, and what fetches the schemas they name.

    Raises:
        ConfigurationError: the extra `registry` is not installed.
    """
    if settings.format.clickstream is ValueFormat.JSON:
        yield plan, None
        return
    schemas = Schemas(settings.format, settings.topics)
    with asyncio.Runner() as loop:

        def prepare(topic: str, records: Sequence[Record]) -> None:
            loop.run(schemas.prepare(topic, records))

        loop.run(schemas.__aenter__())
        try:
            yield plan._replace(decoder=schemas.decoder), prepare
        finally:
            loop.run(schemas.__aexit__(None, None, None))
