"""What time a quiet partition is told: none before which something may wait to be read."""

from typing import Any
from unittest.mock import AsyncMock, Mock

from faust.types import TP
from support.fakes import FakePublisher

from forestay.settings import TopicSettings
from forestay.shell.clock import ClockTeller
from forestay.shell.transport import Reading

TOPICS = TopicSettings()
HOUR = 3_600_000


class Told:
    """A worker of one partition that has nothing in work, and a consumer of which the test says what it knows."""

    def __init__(self) -> None:
        pipeline = Mock(idle=True)
        pipeline.core.positions = {TOPICS.clickstream: 7}
        engine: Any = Mock(pipelines={3: pipeline})
        self.consumer: Any = Mock(caught_up=AsyncMock(return_value=True))
        self.publisher = FakePublisher()
        self.teller = ClockTeller(engine, self.publisher, self.consumer, TOPICS, 1.0)

    async def at(self, answered: int | None) -> int:
        """Looks when a fetch was last answered at `answered`; returns how many times were told by now."""
        self.consumer.reading.return_value = Reading(7, 7, 7, answered)
        await self.teller.tell(3)
        return len(self.times)

    @property
    def times(self) -> list[bytes | None]:
        return [record.value for record in self.publisher.log[TOPICS.clock, 3]]


async def test_the_time_told_is_that_of_the_answer_before_the_last() -> None:
    told = Told()
    assert await told.at(None) == 0
    assert await told.at(1_000) == 0
    assert await told.at(2_000) == 1
    assert await told.at(3_000) == 2
    assert told.times == [b'{"ts":"1970-01-01T00:00:01.000Z"}', b'{"ts":"1970-01-01T00:00:02.000Z"}']
    told.consumer.caught_up.assert_awaited_with(TP(TOPICS.clickstream, 3), 7)


async def test_who_was_stopped_for_an_hour_tells_nothing_of_it_before_a_fetch_sent_since_is_answered() -> None:
    told = Told()
    await told.at(1_000)
    await told.at(2_000)
    assert await told.at(2_000) == 1, "nothing has been heard since"
    assert await told.at(HOUR) == 2, "this answer had lain there for an hour"
    assert told.times[-1] == b'{"ts":"1970-01-01T00:00:02.000Z"}'
    told.consumer.caught_up.return_value = False
    assert await told.at(HOUR + 1_000) == 2, "what came in that hour waits"
