"""When a worker is ready, and when it would help to start it again; time is given."""

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from forestay.settings import KafkaSettings, Settings, WorkerSettings
from forestay.shell.health import Health, PartitionSight, Phase, Sight, TopicSight
from forestay.shell.recovery.progress import RecoveryProgress

STALLED = 40
REBALANCE = 30


@dataclass
class Watched:
    """A worker as its health sees it, with one partition of one topic; a look a second, as in life."""

    now: float = 0.0
    progress: RecoveryProgress = field(default_factory=RecoveryProgress)
    health: Health = field(init=False)
    answered: int = 0
    answers: bool = True
    full: bool = False

    def __post_init__(self) -> None:
        settings = Settings(
            kafka=KafkaSettings(rebalance_timeout_seconds=REBALANCE, fetch_wait_seconds=1),
            worker=WorkerSettings(stalled_seconds=STALLED, barrier_deadline_seconds=8, commit_interval_seconds=1),
        )
        self.health = Health(settings, self.progress, lambda: self.now)

    def at_work(self) -> "Watched":
        self.health.enter(Phase.WORKING)
        return self

    def look(self, seconds: int, *sights: PartitionSight) -> None:
        """Looks once a second for so long; Kafka answers fetches as long as `answers` is set."""
        for _ in range(seconds):
            self.now += 1
            self.answered += self.answers
            partitions = {
                number: one._replace(
                    topics={name: topic._replace(answered=self.answered) for name, topic in one.topics.items()}
                )
                for number, one in enumerate(sights)
            }
            self.health.look(Sight(partitions, self.full))

    @property
    def live(self) -> bool:
        answer = self.health.live()
        assert answer.yes == (answer.content.get("reasons") is None)
        return answer.yes

    @property
    def ready(self) -> Any:
        answer = self.health.ready()
        assert answer.yes == answer.content["ready"]
        return answer.content


def sight(end: int | None, read: int, applied: int, durable: int, *, busy: bool = False) -> PartitionSight:
    """A partition whose chunks were handed over as far as they were read."""
    return PartitionSight({"clickstream": TopicSight(end, read, read, applied, 0)}, durable, busy)


IDLE = sight(10, 10, 10, 10)
#: The last offsets of the log are marks of transactions, or gone: read, but never handed over.
MARKS = PartitionSight({"clickstream": TopicSight(12, 12, 10, 10, 0)}, 10, busy=False)
UNREAD = sight(99, 10, 10, 10)
IN_HAND = sight(99, 99, 10, 10, busy=True)
NOT_DURABLE = sight(99, 99, 99, 10)


@pytest.mark.parametrize("stuck", [UNREAD, IN_HAND, NOT_DURABLE], ids=["unread", "in hand", "not durable"])
def test_who_has_work_and_stands_still_is_not_live(stuck: PartitionSight) -> None:
    worker = Watched().at_work()
    worker.look(STALLED, IDLE, stuck)
    assert worker.live
    worker.look(4, IDLE, stuck)
    assert not worker.live
    worker.look(1, IDLE, IDLE)
    assert worker.live


@pytest.mark.parametrize("rest", [IDLE, MARKS], ids=["idle", "an end without a record"])
def test_who_has_nothing_to_do_lives(rest: PartitionSight) -> None:
    worker = Watched().at_work()
    worker.look(10 * STALLED, rest)
    assert worker.live
    assert worker.ready["lag"] == {"0": {"clickstream": 0}}


def test_work_that_came_a_moment_ago_has_not_waited_long() -> None:
    worker = Watched().at_work()
    worker.look(10 * STALLED, IDLE)
    worker.look(STALLED, UNREAD)
    assert worker.live


def test_slow_is_not_ill() -> None:
    """One batch in half the time allowed, behind a queue that is always full."""
    worker = Watched(full=True).at_work()
    for position in range(20):
        worker.look(STALLED // 2, sight(99, 99, position, position, busy=True), sight(99, 10, 10, 10))
        assert worker.live


def test_who_works_while_a_commit_takes_long_is_not_ill() -> None:
    worker = Watched().at_work()
    for position in range(10, 20):
        worker.look(STALLED // 2, sight(99, 99, position, 10, busy=True))
    assert worker.live


def test_a_partition_waits_for_its_turn_only_while_others_work() -> None:
    worker = Watched(full=True).at_work()
    worker.look(2 * STALLED, UNREAD)
    assert not worker.live


def test_the_backlog_is_told() -> None:
    worker = Watched().at_work()
    worker.look(1, IN_HAND, sight(None, 0, 0, 0))
    assert worker.ready["lag"] == {"0": {"clickstream": 89}, "1": {"clickstream": None}}


def test_who_hears_nothing_from_kafka_is_not_live_even_without_work() -> None:
    worker = Watched().at_work()
    worker.look(1, IDLE)
    worker.answers = False
    worker.look(STALLED, IDLE)
    assert worker.live
    worker.look(3, IDLE)
    assert worker.health.live().content["reasons"] == ["Kafka has answered no fetch for 43 s"]
    worker.answers = True
    worker.look(1, IDLE)
    assert worker.live


def test_who_was_never_answered_is_not_live() -> None:
    worker = Watched(answers=False).at_work()
    worker.look(STALLED + 4, sight(None, 0, 0, 0))
    assert not worker.live


def test_a_machine_that_slept_has_not_made_its_worker_ill() -> None:
    worker = Watched().at_work()
    worker.look(2, UNREAD)
    worker.now += 100 * STALLED
    worker.look(1, UNREAD)
    assert worker.live


def test_a_rebalance_may_take_its_time_and_no_more() -> None:
    worker = Watched().at_work()
    worker.look(STALLED, UNREAD)
    worker.health.enter(Phase.JOINING)
    worker.look(REBALANCE + STALLED)
    assert worker.live
    worker.look(3)
    assert worker.health.live().content["reasons"] == ["joining: no partitions are assigned for 72 s"]
    worker.at_work().look(1, UNREAD)
    assert worker.live


def test_who_is_left_over_lives_and_is_not_ready() -> None:
    worker = Watched()
    worker.health.enter(Phase.SPARE)
    worker.look(10 * STALLED)
    assert worker.live
    assert worker.ready["phase"] == "spare"
    assert not worker.ready["ready"]


def test_recovery_may_last_as_long_as_it_moves() -> None:
    worker = Watched()
    worker.health.enter(Phase.RECOVERING)
    worker.progress.begin([0, 1])
    for read in range(0, 1_000, 100):
        worker.progress.tell(0, read, 1_000)
        worker.look(STALLED // 2)
        assert worker.live
    worker.look(STALLED)
    assert worker.health.live().content["reasons"] == ["recovery stands at 900 of 1000 offsets for 59 s"]


def test_recovery_tells_how_far_it_is_and_how_long_it_will_take() -> None:
    worker = Watched()
    worker.health.enter(Phase.RECOVERING)
    worker.progress.begin([3, 1])
    worker.progress.tell(1, 0, 100)
    worker.look(1)
    assert worker.ready["recovery"]["expected_rest_seconds"] is None
    worker.progress.tell(1, 100, 100)
    worker.progress.tell(3, 150, 400)
    worker.look(9)
    assert worker.ready == {
        "ready": False,
        "phase": "recovering",
        "seconds": 10.0,
        "partitions": [1, 3],
        "recovery": {
            "read": 250,
            "to_read": 500,
            "percent": 50.0,
            "expected_rest_seconds": 10.0,
            "partitions": {
                "1": {"read": 100, "to_read": 100, "percent": 100.0},
                "3": {"read": 150, "to_read": 400, "percent": 37.5},
            },
        },
    }


def test_ready_is_who_has_partitions_at_work() -> None:
    worker = Watched()
    assert worker.ready == {"ready": False, "phase": "starting", "seconds": 0.0, "partitions": [], "lag": {}}
    worker.health.enter(Phase.JOINING)
    worker.look(1)
    assert worker.ready["phase"] == "joining"
    worker.at_work().look(1, IDLE)
    assert worker.ready == {
        "ready": True,
        "phase": "working",
        "seconds": 1.0,
        "partitions": [0],
        "lag": {"0": {"clickstream": 0}},
    }


def test_on_its_way_out_it_neither_lives_nor_comes_back() -> None:
    worker = Watched().at_work()
    worker.look(1, IDLE)
    worker.health.enter(Phase.STOPPING)
    worker.health.enter(Phase.WORKING)
    assert worker.health.live().content == {"live": False, "phase": "stopping", "reasons": ["the worker is stopping"]}
    assert not worker.ready["ready"]


def test_a_standstill_is_logged_once_with_its_numbers_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    worker = Watched().at_work()
    worker.look(3 * STALLED, IN_HAND)
    worker.look(3, IDLE)
    assert [record.getMessage() for record in caplog.records] == [
        "not live: partition 0: positions stand still, 0 not durable (lag: clickstream 89) for 42 s",
        "live again",
    ]
