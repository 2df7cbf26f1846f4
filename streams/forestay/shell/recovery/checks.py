"""Whether what was found of a partition's state fits the logs it was written beside (`docs/recovery.md`). No I/O."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from forestay.core.state.mark import UNCOUNTED, PartitionMark, StateTopics
from forestay.settings import TopicSettings
from forestay.shell.recovery.logs import Logs
from forestay.shell.recovery.state import Counted, StateFound


class Kind(StrEnum):
    """What is wrong."""

    DAMAGED_USER = "damaged_user"
    DAMAGED_MARK = "damaged_mark"
    NO_MARK = "no_mark"
    USERS_MISSING = "users_missing"
    TOPIC_ANEW = "topic_anew"
    TOPIC_CUT = "topic_cut"
    DECISIONS_GONE = "decisions_gone"
    UNREADABLE_DECISION = "unreadable_decision"
    MORE_PARTITIONS = "more_partitions"


class Damage(NamedTuple):
    """One thing that is wrong with the state of `partition`: where, what that means, and what a repair does.

    `topic` is the source topic it is about, if it is about one. `repair` is empty where none can help.
    """

    kind: Kind
    partition: int
    where: str
    what: str
    repair: str
    topic: str = ""


def damages_of(number: int, state: StateFound, decided: int, logs: Logs, topics: TopicSettings) -> Iterator[Damage]:
    """Yields what is wrong with a partition as a whole; `decided` is how many decisions are beyond its mark."""
    mark, counted = state.mark, state.counted
    if state.topics.partitions not in (0, logs.partitions):
        yield more_partitions(number, state.topics, logs, topics)
        return
    if mark is None:
        yield from _no_mark(number, counted, decided, logs, topics)
        return
    if mark.users != UNCOUNTED and not 0 <= mark.users - counted.users + counted.living <= counted.behind:
        yield _users_missing(number, mark.users, counted, logs, topics)
    for topic in (topics.clickstream, topics.identity):
        yield from _source(number, topic, mark, state.topics, logs)
    yield from _decisions(number, mark, state.topics, logs, topics.decisions)


def more_partitions(number: int, beside: StateTopics, logs: Logs, topics: TopicSettings) -> Damage:
    """Returns what is wrong with a state that was made `beside` another number of partitions."""
    what = (
        f"the state was made when each topic had {beside.partitions} partitions, now they have {logs.partitions}:"
        " users would be looked for where their state is not. Name new topics in the settings and fill them from"
        " history: docs/recovery.md, More partitions"
    )
    return Damage(Kind.MORE_PARTITIONS, number, f"{topics.state}-{number}", what, "")


def told_now(logs: Logs, topics: TopicSettings, passed_over: Sequence[int]) -> StateTopics:
    """Returns what a state that is worked on now is made beside."""
    ids = {topic: logs.ids[topic] for topic in (*topics.sources, topics.decisions) if topic in logs.ids}
    return StateTopics(logs.partitions, ids, list(passed_over))


def moved_on(
    number: int, mark: PartitionMark, beside: StateTopics, logs: Logs, topics: TopicSettings
) -> tuple[PartitionMark, list[str]]:
    """Returns the mark as work begins with it, and what somebody should know although work can begin.

    A clock that began anew is followed, as are feedback and what is told of budgets: no user remembers their offsets.
    """
    positions = dict(mark.positions)
    notes: list[str] = []
    followed = (topics.clock, topics.feedback, topics.budget)
    for topic in followed:
        if _is_other(topic, beside, logs) or positions.get(topic, 0) > logs.end[topic][number]:
            positions.pop(topic, None)
    for topic in topics.sources:
        position, first = positions.get(topic), logs.first[topic][number]
        committed = logs.committed.get(topic, {}).get(number, 0)
        if position is not None and position < first and topic not in followed:
            notes.append(
                f"{topic}-{number}: offsets {position} to {first - 1} were deleted before they were read; events that"
                " were recorded can be brought back with `forestay backfill --from FILE` once their time has passed"
            )
        if position is not None and committed > position:
            notes.append(
                f"{topic}-{number}: the group has committed {committed}, but the state has come to {position}, and"
                " reading begins there: committed offsets only show the lag"
            )
    return msgspec.structs.replace(mark, positions=positions), notes


def decisions_begin(number: int, state: StateFound, logs: Logs, topic: str) -> int:
    """Returns where the decisions begin that are to be taken as made."""
    mark = state.mark
    if mark is None or _is_other(topic, state.topics, logs) or mark.decisions > logs.end[topic][number]:
        return 0
    return mark.decisions


def lies_beyond(number: int, mark: PartitionMark, logs: Logs, topics: TopicSettings) -> bool:
    """Says whether a mark tells of offsets that the logs do not have."""
    told = mark.positions | {topics.decisions: mark.decisions}
    return any(offset > logs.end[topic][number] for topic, offset in told.items() if topic in logs.end)


def _no_mark(number: int, counted: Counted, decided: int, logs: Logs, topics: TopicSettings) -> Iterator[Damage]:
    signs = [
        f"the group has committed offset {offset} of {topic}-{number}"
        for topic in topics.sources
        if (offset := logs.committed.get(topic, {}).get(number, 0)) > 0
    ]
    if logs.first[topics.state][number] > 0:
        signs.append(f"the changelog begins at offset {logs.first[topics.state][number]}")
    if decided:
        signs.append(f"{decided} decisions were made")
    if signs:
        what = (
            f"no mark says how far the state of {counted.users} users has come, but {' and '.join(signs)}: the"
            " changelog was deleted, or has lost its tail"
        )
        repair = (
            f"begin anew with the {counted.users} users found: reading starts at the beginning of the sources, what"
            " a user's state has counted is passed over, and decisions on their topic stay made"
        )
        yield Damage(Kind.NO_MARK, number, f"{topics.state}-{number}", what, repair)


def _users_missing(number: int, users: int, counted: Counted, logs: Logs, topics: TopicSettings) -> Damage:
    first = logs.first[topics.state][number]
    begins = (
        f" and the changelog begins at offset {first}: its cleanup.policy must be compact alone," if first else ""
    )
    what = f"the mark tells of {users} users, {counted.users} are there{begins} so records were deleted"
    repair = (
        f"go on with the {counted.users} users found; the others begin anew, or are brought back by"
        " `forestay backfill --from FILE`"
    )
    return Damage(Kind.USERS_MISSING, number, f"{topics.state}-{number}", what, repair)


def _is_other(topic: str, beside: StateTopics, logs: Logs) -> bool:
    """Says whether a topic is another one than the state was made beside, as far as the broker tells."""
    ids = beside.ids
    return bool(ids) and (topic not in ids or logs.ids.get(topic, ids[topic]) != ids[topic])


def _source(number: int, topic: str, mark: PartitionMark, beside: StateTopics, logs: Logs) -> Iterator[Damage]:
    position, end = mark.positions.get(topic, 0), logs.end[topic][number]
    read = position if topic in mark.positions else max(mark.positions.values(), default=0)
    if _is_other(topic, beside, logs) and read > 0:
        yield Damage(
            Kind.TOPIC_ANEW,
            number,
            f"{topic}-{number}",
            f"this is not the topic of which the state has read {read} offsets: it was deleted and made again, or"
            " another is named in the settings",
            "begin at its beginning, and have users forget the offsets of the old one"
            " (--same-offsets: it is a copy with the same offsets; go on where the state is)",
            topic,
        )
    elif position > end:
        yield Damage(
            Kind.TOPIC_CUT,
            number,
            f"{topic}-{number}",
            f"the state has read it to offset {position}, but it ends at {end}: it has lost its tail (an unclean"
            " election, an old backup)",
            f"go on from {end}; what was read beyond stays counted, and counts twice if it is sent again with other"
            " event ids",
            topic,
        )


def _decisions(number: int, mark: PartitionMark, beside: StateTopics, logs: Logs, topic: str) -> Iterator[Damage]:
    first, end = logs.first[topic][number], logs.end[topic][number]
    if mark.decisions == 0:
        return
    if _is_other(topic, beside, logs):
        what = "this is not the topic that the state was made beside: it was deleted and made again"
    elif mark.decisions > end:
        what = f"the mark tells of {mark.decisions} decisions, but the topic ends at {end}: it has lost its tail"
    elif mark.decisions < first:
        what = f"decisions {mark.decisions} to {first - 1}, made after the last durable state, were deleted"
    else:
        return
    repair = (
        "take the decisions there are as made; those that are gone may be made again, and their actions sent again"
        " with other ids"
    )
    yield Damage(Kind.DECISIONS_GONE, number, f"{topic}-{number}", what, repair)
