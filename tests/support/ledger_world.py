"""What crashing lives left behind, as a recording in memory, and a rerun of it by its ledger."""

from collections.abc import Callable, Collection, Iterator
from random import Random
from typing import NamedTuple

from support.builders import CLOCK_TOPIC, DIGEST, FEEDBACK_TOPIC, SOURCES, TOPIC, click, source, tick
from support.fakes import hashing_model
from support.identity_world import World
from support.rerunning import Kept
from support.simulation import ACTIONS, DEAD_LETTERS, DECISIONS, LEDGER, STATE, CrashError, Life, Logs, Pushed

from forestay.core.decision.catalogue import Catalogue
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR
from forestay.recording import RecordedMessage
from forestay.rerun.catalogues import Catalogues
from forestay.rerun.checked_scores import CheckedScores
from forestay.rerun.divergence import Divergence, DivergenceFoundError
from forestay.rerun.job import kinds
from forestay.rerun.lane import Plan
from forestay.rerun.ledger_run import LedgerRun
from forestay.rerun.recorded_outputs import RecordedOutputs
from forestay.rerun.verdict import Judge
from forestay.settings import TopicSettings

TOPICS = TopicSettings()
START = 1_700_000_000_000


#: The timestamp of rows whose time plays no part.
ANY_TIME = 2**52


class InMemory:
    """Recordings as lists, by topic."""

    def __init__(self, **logs: list[OutputRecord]) -> None:
        self.logs: dict[str, list[RecordedMessage]] = {}
        for role, records in logs.items():
            self.add(getattr(TOPICS, role), 0, records)

    def add(self, topic: str, partition: int, records: list[OutputRecord]) -> None:
        """Puts the records of a partition behind those of others."""
        rows = (RecordedMessage(topic, partition, offset, ANY_TIME, *record) for offset, record in enumerate(records))
        self.logs.setdefault(topic, []).extend(rows)

    @property
    def topics(self) -> list[str]:
        return sorted(topic for topic, rows in self.logs.items() if rows)

    def rows(self, topics: Collection[str]) -> Iterator[RecordedMessage]:
        return (row for topic in sorted(topics) for row in self.logs.get(topic, ()))


class Outcome(NamedTuple):
    """A rerun by the ledger: what differs first, what was made, and the run itself."""

    divergence: Divergence | None
    kept: Kept
    run: LedgerRun


def sources(random: Random, count: int = 80) -> list[SourceRecord]:
    """Returns events, some broken or late, and ticks, in the order of one life."""
    now, made, ticks = START, list[SourceRecord](), 0
    for number in range(count):
        now += random.choice([0, 1, HOUR, 6 * HOUR, DAY, 3 * DAY])
        offset = len(made) - ticks
        if random.random() < 0.15:
            made.append(tick(now, ticks))
            ticks += 1
        elif random.random() < 0.07:
            made.append(source(b"{broken", offset, timestamp=now))
        else:
            late = random.choice([0, 0, 0, HOUR, 10 * DAY])
            kind = random.choice(["purchase", "view_item"])
            event = click(f"e{number}", f"u{random.randint(1, 4)}", kind, now - late)
            made.append(source(event | {"price": random.randint(1, 90), "quantity": 1}, offset))
    return made


def lived(
    records: list[SourceRecord],
    rules: Rules,
    shop: Catalogue | Pushed,
    random: Random,
    crashes: int,
    *,
    reorder: bool = True,
) -> InMemory:
    """Lets one life follow another, each but the last ended by a crash; returns what was recorded.

    `reorder`: later lives take the topics in another order.
    """
    logs = Logs()
    for life in range(crashes + 1):
        logs.crash_in = random.randint(0, 60) if life < crashes else None
        try:
            model = hashing_model(random.choice(["a", "b"]))
            Life(logs, rules, shop, model, random).run(records, reorder=reorder and life > 0)
        except CrashError:
            continue
    read = (TOPIC, CLOCK_TOPIC, FEEDBACK_TOPIC)
    of = {topic: [record for record in records if record.topic == topic] for topic in read}
    memory = InMemory(**{role: logs.topics[role] for role in (DECISIONS, ACTIONS, DEAD_LETTERS, LEDGER, STATE)})
    memory.logs |= of
    return memory


def of_world(world: World) -> InMemory:
    """Returns what partitions that merge ids left behind."""
    memory = InMemory()
    roles = {"ledger": TOPICS.ledger, "decisions": TOPICS.decisions, "actions": TOPICS.actions}
    for place, records in sorted(world.logs.items()):
        if place.topic != "state":
            memory.add(roles.get(place.topic, place.topic), place.number, records)
    return memory


def again(
    recordings: InMemory,
    rules: Rules,
    shop: Catalogue,
    *,
    scores: CheckedScores | None = None,
    digest: str = DIGEST,
    place: Callable[[bytes], int] = lambda _key: 0,
    catalogues: Catalogues | None = None,
    partitions: int = 1,
) -> Outcome:
    """Runs it by its ledger."""
    scores, kept = scores or CheckedScores(), Kept()
    outputs = RecordedOutputs(recordings, TOPICS, scores.book)
    judge = Judge(recordings, kinds(TOPICS), outputs, scores, digest)
    plan = Plan(SOURCES, rules, shop, place, partitions=partitions)
    run = LedgerRun(recordings, plan, TOPICS, scores, judge, kept, None, catalogues)
    try:
        run.run(lambda _done: None)
    except DivergenceFoundError as error:
        return Outcome(error.found, kept, run)
    return Outcome(None, kept, run)
