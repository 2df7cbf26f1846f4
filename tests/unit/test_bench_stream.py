"""The bench's events: the same bytes each time, and events by the contract."""

import hashlib
import json
from pathlib import Path

from forestay_bench.stream import KEY, KINDS, StreamSpec, lines, rfc3339, stream, user_id
from forestay_schemas.click_event import ClickEvent

SPEC = StreamSpec(2_000)


def test_the_bytes_are_always_the_same() -> None:
    digest = hashlib.sha256(b"".join(lines(SPEC))).hexdigest()
    assert digest == "19aec477f368247bf12273f5a6745145d1f882d074e8119bbf84e44c32617f31"


def test_each_line_is_an_event_by_the_contract_with_its_key_in_place() -> None:
    for line in lines(SPEC):
        event = ClickEvent.model_validate_json(line)
        assert line[KEY].decode() == event.user_id


def test_the_columns_say_what_the_lines_say(tmp_path: Path) -> None:
    made = stream(SPEC, tmp_path)
    events = [json.loads(line) for line in made.file.read_bytes().splitlines()]
    assert [event["user_id"] for event in events] == [user_id(int(number)) for number in made.users]
    assert [event["event"] for event in events] == [KINDS[kind] for kind in made.kinds]
    assert [event["ts"] for event in events] == [rfc3339(int(time)) for time in made.times]
    spent = [round(e["price"] * 100) * e["quantity"] if e["event"] == "purchase" else 0 for e in events]
    assert spent == made.cents.tolist()


def test_a_stream_is_made_once(tmp_path: Path) -> None:
    told: list[int] = []
    assert stream(SPEC, tmp_path, told.append).file == stream(SPEC, tmp_path, told.append).file
    assert told == [SPEC.events]


def test_other_users_are_another_stream() -> None:
    many = {line[KEY] for line in lines(StreamSpec(2_000, users=1_000_000, skew=0))}
    few = {line[KEY] for line in lines(StreamSpec(2_000, users=10))}
    assert len(few) == 10
    assert len(many) > 1_900
    assert StreamSpec(2_000, users=10).name != SPEC.name
