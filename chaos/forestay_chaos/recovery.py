"""How long the struck worker's partitions were without service, told from the topics alone.

Recovery is the time from the blow (SIGKILL, or SIGTERM) until the broker has appended, in each partition the
worker held, the first outcome of an event that Kafka had accepted only after the blow: a decision, an action or a
dead letter that names the event's offset. Partitions are worked off in order, so everything before has been done by
then. The slowest partition counts; one that got no such event, or whose events call for no outcome, is left out.
Appends are stamped by the broker (LogAppendTime), events by the producer: all clocks are this machine's.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from forestay_chaos.field import Blow
from forestay_chaos.read_record import ReadRecord

#: By partition: the event's offset, its moment and the moment of its outcome (epoch milliseconds).
Outcomes = dict[int, list[tuple[int, int, int]]]


def outcomes(read: Mapping[str, Sequence[ReadRecord]]) -> Outcomes:
    """Returns the first outcome of each event that has one."""
    accepted = {(one.partition, one.offset): one.timestamp for one in read["clickstream"]}
    topic = next((one.topic for one in read["clickstream"]), "")
    first: dict[tuple[int, int], int] = {}
    for place, moment in _told(read, topic):
        if place in accepted:
            first[place] = min(first.get(place, moment), moment)
    found: Outcomes = defaultdict(list)
    for (partition, offset), moment in sorted(first.items()):
        found[partition].append((offset, accepted[partition, offset], moment))
    return found


def _told(read: Mapping[str, Sequence[ReadRecord]], topic: str) -> Iterator[tuple[tuple[int, int], int]]:
    """Yields the coordinates of events of `topic` that an output names, and the output's moment."""
    # Of stock Faust there are actions alone; Forestay's follow their decisions.
    for record in (*read["decisions"], *read.get("actions", ())):
        trigger = json.loads(record.value or b"{}").get("trigger", {})
        if trigger.get("topic") == topic:
            yield (trigger["partition"], trigger["offset"]), record.timestamp
    for record in read["dead_letters"]:
        headers = {name: value for name, value in record.headers if name.startswith("forestay-")}
        if headers.get("forestay-topic") == topic.encode():
            place = (int(headers["forestay-partition"] or b"-1"), int(headers["forestay-offset"] or b"-1"))
            yield place, record.timestamp


def recovery(blow: Blow, found: Outcomes) -> float | None:
    """Returns the seconds from the blow to the recovery, None where nothing can be said."""
    struck = blow.moment * 1_000
    ends = [
        min(moments)
        for partition in blow.partitions
        if (moments := [moment for _, sent, moment in found.get(partition, []) if sent > struck])
    ]
    return max(0.0, (max(ends) - struck) / 1_000) if ends else None


def percentiles(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """Returns p50, p90, p99 and max (nearest rank), and how many there are."""
    ordered = sorted(seconds)

    def rank(share: float) -> float | None:
        return round(ordered[max(0, -(-round(share * 1_000) * len(ordered) // 1_000) - 1)], 3) if ordered else None

    return {"count": len(ordered), "p50": rank(0.5), "p90": rank(0.9), "p99": rank(0.99), "max": rank(1.0)}
