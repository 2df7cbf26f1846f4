"""The recount and the check of outputs: what the peers' job puts out passes, what is not right does not."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import job
import pytest

from forestay_bench.checking import check
from forestay_bench.expected import Counted, Expected, expect
from forestay_bench.peers import KAFKA_STREAMS
from forestay_bench.stream import Stream, StreamSpec, stream
from forestay_bench.windows import FULL_WINDOWS, HOUR, JOB_WINDOWS, Window

counted = KAFKA_STREAMS.counted


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    return stream(StreamSpec(4_000, users=60), tmp_path_factory.mktemp("stream"))


@pytest.fixture(scope="module")
def expected(events: Stream) -> Expected:
    return expect(events, JOB_WINDOWS)


@pytest.fixture(scope="module")
def records(events: Stream) -> list[dict[str, Any]]:
    return list(outputs(events.file))


def outputs(file: Path) -> Iterator[dict[str, Any]]:
    """What the peers' job in Python puts out."""
    states: dict[str, job.State] = {}
    for line in file.read_bytes().splitlines():
        event = json.loads(line)
        record = job.update(states.setdefault(event["user_id"], job.new_state()), event)
        if record is not None:
            yield record


def checked(records: Sequence[Mapping[str, Any]], expected: Expected) -> list[str]:
    return check([json.dumps(record).encode() for record in records], expected, counted)


def test_the_rings_of_the_job_agree_with_the_recount(records: list[dict[str, Any]], expected: Expected) -> None:
    assert len(expected.last) == 20
    assert checked(records, expected) == []


def test_a_record_too_few_is_seen(records: list[dict[str, Any]], expected: Expected) -> None:
    unsampled = next(n for n, record in enumerate(records) if record["user_id"] not in expected.last)
    user = records[unsampled]["user_id"]
    assert checked(records[:unsampled] + records[unsampled + 1 :], expected) == [
        f"{expected.records - 1} records came out, not {expected.records}",
        f"1 users have too few records or too many, {user} among them",
    ]


def test_a_record_twice_for_one_that_is_missing_is_seen(records: list[dict[str, Any]], expected: Expected) -> None:
    users = [record["user_id"] for record in records]
    other = next(n for n, user in enumerate(users) if user != users[0])
    swapped = [records[0] if n == other else record for n, record in enumerate(records)]
    assert any("2 users have too few records or too many" in problem for problem in checked(swapped, expected))


@pytest.mark.parametrize("wrong", [{"s7d": 0}, {"c1d": [0, 0, 0, 0, 0]}, {"ts": "2026-03-02T00:00:00.000Z"}])
def test_a_wrong_last_record_is_seen(
    records: list[dict[str, Any]], expected: Expected, wrong: dict[str, Any]
) -> None:
    user = next(user for user, record in expected.last.items() if record.spend["7d"] > 0)
    last = max(n for n, record in enumerate(records) if record["user_id"] == user)
    changed = [record | wrong if n == last else record for n, record in enumerate(records)]
    (problem,) = checked(changed, expected)
    assert problem.startswith(f"the last record of 1 of 20 users is wrong: of {user} it is")


def test_records_in_another_order_are_seen(records: list[dict[str, Any]], expected: Expected) -> None:
    assert checked(records[::-1], expected) != []


@pytest.mark.parametrize("window", [*FULL_WINDOWS, Window("2h", HOUR, 2)], ids=lambda window: window.name)
def test_the_recount_follows_the_definition_of_a_window(events: Stream, window: Window) -> None:
    """In plain Python, event by event: a bucket counts if its number is one of the newest up to now's."""
    for user, last in expect(events, (window,)).last.items():
        number = int(user[1:])
        mine = [n for n in range(events.spec.events) if events.users[n] == number]
        end = max(n for n in mine if events.kinds[n] >= 2)
        newest = int(events.times[end]) // window.bucket_ms
        oldest = newest - window.buckets + 1
        held = [n for n in mine if n <= end and oldest <= int(events.times[n]) // window.bucket_ms <= newest]
        counts = tuple(sum(int(events.kinds[n]) == kind for n in held) for kind in range(5))
        assert last == Counted(last.ts, {window.name: counts}, {window.name: sum(int(events.cents[n]) for n in held)})
