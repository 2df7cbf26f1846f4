"""What is told from a changelog, its mark and the logs beside it: true losses are found, and nothing else is."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from support.builders import START, click, encoded, lived

from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.identity import Identity
from forestay.core.state.mark import PartitionMark, StateTopics, opening_mark
from forestay.core.state.seal import sealed, unsealed
from forestay.core.state.state_codec import MARK_KEY, TOPICS_KEY, decode_mark, decode_topics, decode_user, encode_mark
from forestay.settings import TopicSettings
from forestay.shell.recovery.checks import Kind, damages_of, moved_on, told_now
from forestay.shell.recovery.findings import Findings
from forestay.shell.recovery.logs import Logs
from forestay.shell.recovery.repair import planned
from forestay.shell.recovery.state import ChangelogReading, Counted, Spoilt, StateFound

TOPICS = TopicSettings()
NAMES = (*TOPICS.sources, TOPICS.decisions, TOPICS.ledger, TOPICS.state)
IDS = {name: f"id of {name}" for name in (*TOPICS.sources, TOPICS.decisions)}
MARK = PartitionMark(dict.fromkeys(TOPICS.sources, 50), START, 20, generation=3, watermark=START, users=4)
BESIDE = StateTopics(2, IDS)
FOUR = Counted(4, 0, 0)
RECORD = encoded(lived(click()))


def logs(**more: Any) -> Logs:
    """Logs that fit the mark; `more` are other ids, firsts, ends or commits of the topics, by their roles."""
    facts = Logs(
        2,
        dict(IDS),
        {name: {0: 0} for name in NAMES},
        {name: {0: 100} for name in NAMES},
        {TOPICS.clickstream: {0: 50}},
    )
    return facts._replace(**more)


def with_offset(offsets: Any, topic: str, offset: int) -> Any:
    return {**offsets, topic: {0: offset}}


def state_of(mark: PartitionMark | None, counted: Counted, beside: StateTopics = BESIDE) -> StateFound:
    return StateFound({}, mark, beside, {}, counted)


def kinds(
    mark: PartitionMark | None,
    counted: Counted = FOUR,
    facts: Logs | None = None,
    beside: StateTopics = BESIDE,
    decided: int = 0,
) -> list[Kind]:
    found = state_of(mark, counted, beside)
    return [damage.kind for damage in damages_of(0, found, decided, facts or logs(), TOPICS)]


def test_a_state_that_fits_is_well() -> None:
    assert kinds(MARK) == []


def test_a_mark_of_an_older_version_tells_less_and_is_no_damage() -> None:
    assert kinds(PartitionMark(MARK.positions, START, 20, 3, START), beside=StateTopics()) == []


@pytest.mark.parametrize("topic", [TOPICS.clickstream, TOPICS.identity])
def test_a_source_is_known_by_its_id_and_by_its_end(topic: str) -> None:
    anew = logs(ids=IDS | {topic: "another"})
    assert kinds(MARK, facts=anew) == [Kind.TOPIC_ANEW]
    assert kinds(MARK, facts=logs(end=with_offset(logs().end, topic, 49))) == [Kind.TOPIC_CUT]
    assert kinds(MARK, facts=logs(end=with_offset(logs().end, topic, 50))) == []


def test_another_name_in_the_settings_is_another_topic() -> None:
    """Users would pass over the events of a topic whose offsets they believe to know."""
    named = {name.replace("clickstream", "clicks"): told for name, told in IDS.items()}
    renamed = msgspec.structs.replace(MARK, positions={"clicks": 50})
    assert kinds(renamed, beside=StateTopics(2, named))[0] is Kind.TOPIC_ANEW


def test_a_broker_without_ids_is_believed() -> None:
    assert kinds(MARK, facts=logs(ids={})) == []


def test_decisions_must_be_there_from_the_mark_on() -> None:
    topic, facts = TOPICS.decisions, logs()
    assert kinds(MARK, facts=logs(ids=IDS | {topic: "another"})) == [Kind.DECISIONS_GONE]
    assert kinds(MARK, facts=logs(end=with_offset(facts.end, topic, 19))) == [Kind.DECISIONS_GONE]
    assert kinds(MARK, facts=logs(first=with_offset(facts.first, topic, 21))) == [Kind.DECISIONS_GONE]
    assert kinds(MARK, facts=logs(first=with_offset(facts.first, topic, 20))) == []


def test_another_number_of_partitions_is_all_that_is_told() -> None:
    assert kinds(MARK, Counted(1, 0, 0), logs(partitions=4)) == [Kind.MORE_PARTITIONS]


def test_without_a_mark_signs_of_work_tell_loss_from_a_new_partition() -> None:
    facts = logs(end={name: {0: 0} for name in NAMES}, committed={})
    assert kinds(None, Counted(0, 0, 0), facts) == []
    # A backfill may come before the first worker.
    assert kinds(None, FOUR, facts._replace(end=with_offset(facts.end, TOPICS.state, 9))) == []
    assert kinds(None, FOUR, facts._replace(committed={TOPICS.identity: {0: 1}})) == [Kind.NO_MARK]
    assert kinds(None, FOUR, facts._replace(first=with_offset(facts.first, TOPICS.state, 1))) == [Kind.NO_MARK]
    assert kinds(None, FOUR, facts, decided=1) == [Kind.NO_MARK]


def test_what_is_gone_unread_is_said() -> None:
    first = with_offset(logs().first, TOPICS.clickstream, 60)
    mark, notes = moved_on(0, MARK, BESIDE, logs(first=first, committed={TOPICS.clickstream: {0: 70}}), TOPICS)
    assert mark == MARK
    assert [note.partition(": ")[2][:30] for note in notes] == [
        "offsets 50 to 59 were deleted ",
        "the group has committed 70, bu",
    ]
    new, notes = moved_on(0, opening_mark(0), StateTopics(), logs(first=first), TOPICS)
    assert (new, notes) == (opening_mark(0), [])
    shorter = logs(end=with_offset(logs().end, TOPICS.clock, 49))
    assert moved_on(0, MARK, BESIDE, shorter, TOPICS)[0].positions.keys() == {
        *(TOPICS.clickstream, TOPICS.identity, TOPICS.feedback, TOPICS.budget)
    }
    assert told_now(logs(), TOPICS, ()) == BESIDE


# -- users counted -----------------------------------------------------------------------------------


class Written(NamedTuple):
    """A record of the changelog as the consumer gives it."""

    offset: int
    key: bytes
    value: bytes | None


def changelog(chance: random.Random, commits: int) -> tuple[list[Written], bool]:
    """Returns what commits wrote, and whether the last one was cut short."""
    living: set[int] = set()
    records: list[Written] = []
    torn = chance.random() < 0.5
    for commit in range(commits):
        changed = chance.sample(range(30), chance.randint(0, 12))
        gone = [user for user in changed if user in living and chance.random() < 0.3]
        living = (living | set(changed)) - set(gone)
        entries = [(f"u{user}".encode(), None if user in gone else RECORD) for user in sorted(changed)]
        mark = msgspec.structs.replace(MARK, users=len(living))
        entries.append((MARK_KEY, encode_mark(mark)))
        if torn and commit == commits - 1:
            entries = entries[: chance.randrange(len(entries))]
        for key, record in entries:
            value = None if record is None else sealed(key, record)
            records.append(Written(len(records), key, value))
    return records, torn


def compacted(records: Sequence[Written], chance: random.Random) -> list[Written]:
    """Returns the log as compaction may leave it: up to some offset, only the newest of each key in it."""
    clean_to = chance.randrange(len(records) + 1)
    newest = {record.key: record.offset for record in records[:clean_to]}
    return [record for record in records if record.offset >= clean_to or newest[record.key] == record.offset]


def read(records: Sequence[Written], chance: random.Random) -> StateFound:
    reading, start = ChangelogReading(), 0
    while start < len(records):
        count = chance.randint(1, 15)
        reading.take(records[start : start + count])
        start += count
    return reading.found()


@pytest.mark.parametrize("seed", range(40))
def test_however_a_log_was_cut_into_commits_and_compacted_no_user_is_missed_who_was_not_lost(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(10):
        records, _ = changelog(chance, chance.randint(2, 12))
        found = read(compacted(records, chance), chance)
        assert found.mark is not None
        assert kinds(found.mark, found.counted) == []


@pytest.mark.parametrize("seed", range(40))
def test_a_user_lost_from_a_log_that_ends_with_its_mark_is_missed(seed: int) -> None:
    chance = random.Random(1_000 + seed)
    for _ in range(10):
        records, torn = changelog(chance, chance.randint(2, 12))
        log = compacted(records, chance)
        newest = {record.key: record for record in log}
        users = [record for key, record in newest.items() if key != MARK_KEY and record.value is not None]
        if torn or not users:
            continue
        lost = chance.choice(users).key
        found = read([record for record in log if record.key != lost], chance)
        assert kinds(found.mark, found.counted) == [Kind.USERS_MISSING]


def test_an_empty_log_tells_of_nobody() -> None:
    assert ChangelogReading().found() == StateFound({}, None, StateTopics(), {}, Counted(0, 0, 0))


# -- repairs -----------------------------------------------------------------------------------------


def findings(state: StateFound, facts: Logs, unreadable: Sequence[SourceRecord] = ()) -> Findings:
    damages = list(damages_of(0, state, 0, facts, TOPICS))
    offsets = {0: dict.fromkeys(state.spoilt, 7)}
    return Findings(facts, {0: state}, offsets, {0: []}, {0: list(unreadable)}, {0: 0}, damages)


def repaired(state: StateFound, facts: Logs, *, same_offsets: bool = False) -> dict[bytes | None, bytes | None]:
    plan = planned(0, findings(state, facts), Rules(), TOPICS, same_offsets=same_offsets)
    assert plan.state[-1].key == MARK_KEY
    return {record.key: record.value and unsealed(record.key or b"", record.value) for record in plan.state}


def users_that_know_offsets() -> dict[str, bytes]:
    state = lived(click())
    state.offset = 48
    state.identity = Identity()
    state.identity.met = 45
    state.identity.take("other", 47)
    return {"u1": encoded(state)}


@pytest.mark.parametrize(
    ("facts", "same", "expected"),
    [
        (logs(ids=IDS | {TOPICS.clickstream: "another"}), False, (-1, 45, -1, 0, 50)),
        (logs(ids=IDS | {TOPICS.clickstream: "another"}), True, (48, 45, 47, 50, 50)),
        (logs(ids=IDS | {TOPICS.identity: "another"}), False, (48, -1, 47, 50, 0)),
        (logs(end=with_offset(logs().end, TOPICS.clickstream, 40)), False, (39, 45, 47, 40, 50)),
    ],
)
def test_users_forget_what_never_was(facts: Logs, same: bool, expected: tuple[int, ...]) -> None:
    users = users_that_know_offsets()
    mark = msgspec.structs.replace(MARK, users=1)
    written = repaired(StateFound(users, mark, BESIDE, {}, Counted(1, 0, 0)), facts, same_offsets=same)
    state = decode_user(written.get(b"u1") or users["u1"], Rules().features)
    after = decode_mark(written[MARK_KEY] or b"")
    assert state.identity is not None
    positions = (after.positions[TOPICS.clickstream], after.positions[TOPICS.identity])
    assert (state.offset, state.identity.met, state.identity.taken("other"), *positions) == expected
    assert kinds(after, Counted(1, 0, 0), facts, decode_topics(written[TOPICS_KEY] or b"")) == []


def test_what_cannot_be_read_is_copied_and_gone() -> None:
    spoilt = {b"u1": Spoilt(b"?", "why"), MARK_KEY: Spoilt(b"!", "so")}
    found = findings(
        StateFound({"u2": RECORD}, None, BESIDE, spoilt, Counted(2, 0, 0)),
        logs(end=with_offset(logs().end, TOPICS.decisions, 9)),
        [SourceRecord(TOPICS.decisions, 0, 5, 0, b"u2", b"{")],
    )
    plan = planned(0, found, Rules(), TOPICS, same_offsets=False)
    assert [(letter.key, letter.value, dict(letter.headers)["forestay-offset"]) for letter in plan.dead_letters] == [
        (b"u1", b"?", b"7"),
        (MARK_KEY, b"!", b"7"),
        (b"u2", b"{", b"5"),
    ]
    assert plan.state[0] == OutputRecord(b"u1", None)
    mark = decode_mark(unsealed(MARK_KEY, plan.state[-1].value or b""))
    assert (mark.users, mark.decisions) == (1, 0)
    assert decode_topics(unsealed(TOPICS_KEY, plan.state[-2].value or b"")).passed_over == [5]
