"""How a worker ends when it must: at once where its producer may still hold records, else in Faust's order."""

from unittest.mock import AsyncMock

import pytest
from support.builders import configuration

from forestay.core.errors import ForestayError, StateError
from forestay.settings import Settings
from forestay.shell import app as module
from forestay.shell.app import RetentionApp
from forestay.shell.engine import HandoverError
from forestay.shell.members import ReplacedError
from forestay.shell.producer_ids import FencedError
from forestay.shell.publisher import PublishError


class Left(BaseException):
    """The process would have ended here."""


class Ending:
    """An app, and how it ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = RetentionApp(Settings(), configuration(), 1)
        self.crashed = AsyncMock()
        monkeypatch.setattr(self.app, "crash", self.crashed)
        monkeypatch.setattr(module, "_leave", self._leave)

    def _leave(self) -> None:
        raise Left


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Ending:
    return Ending(monkeypatch)


@pytest.mark.parametrize(
    "error", [PublishError("late"), HandoverError("late"), FencedError("partition 0"), ReplacedError("another")]
)
async def test_who_may_still_hold_records_leaves_at_once(ending: Ending, error: ForestayError) -> None:
    """A successor may have read the logs by then, and what came after would be missed."""
    with pytest.raises(Left):
        ending.app._fail(error)
    assert ending.app.failure is error
    assert not ending.crashed.called


async def test_any_other_failure_ends_in_order(ending: Ending) -> None:
    error = StateError("damaged")
    ending.app._fail(error)
    assert ending.app.failure is error
    ending.crashed.assert_called_once_with(error)
    assert not ending.app._watch.live().yes


async def test_a_handover_that_is_late_ends_the_worker(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    late = HandoverError("partition-0: no durable barrier within 30 s")
    hand_over = AsyncMock(side_effect=late)
    monkeypatch.setattr(ending.app.engine, "hand_over", hand_over)
    with pytest.raises(Left):
        await ending.app._hand_over()
    assert ending.app.failure is late
    # So that whoever gets the partitions has the other half to take them over.
    hand_over.assert_awaited_once_with(ending.app.kafka.rebalance_timeout_seconds / 2)
