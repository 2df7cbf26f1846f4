"""One partition, told by hand: its clickstream and identity topic, its changelog, what it writes."""

from collections.abc import Collection, Iterable
from typing import Any

from support.builders import MODEL, SOURCES, TOPIC, Click, answered, catalogue, source, user

from forestay.core.applied import Applied, Restored
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.deciding import Settled
from forestay.core.identity.identity_record import decode_identity
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.identity import Identity
from forestay.core.state.state_codec import MARK_KEY, decode_mark
from forestay.core.state.user_state import UserState
from forestay_schemas import Decision


class Node:
    """A partition and its durable records; what it has not written when it restarts is lost."""

    def __init__(self, rules: Rules | None = None, shop: Catalogue | None = None) -> None:
        self.rules = rules or Rules(score_on=frozenset())
        self.shop = shop or catalogue()
        self.core = Partition(0, SOURCES, self.rules, self.shop)
        self.durable: dict[bytes, bytes] = {}
        self.decisions: list[Decision] = []
        self.clicks: list[SourceRecord] = []
        self.met: list[SourceRecord] = []

    def click(self, *clicks: Click) -> Applied:
        """Takes events of the clickstream as one batch."""
        new = [source(one, len(self.clicks) + at) for at, one in enumerate(clicks)]
        self.clicks += new
        return self.core.apply(TOPIC, new)

    def give(self, *records: OutputRecord) -> Applied:
        """Takes records of the identity topic as one batch."""
        start, topic = len(self.met), SOURCES.identity
        new = [SourceRecord(topic, 0, start + at, 0, one.key, one.value) for at, one in enumerate(records)]
        self.met += new
        return self.core.apply(topic, new)

    def settle(self, applied: Applied) -> Settled:
        """Decides, and writes the decisions to the log."""
        answers = answered({one.decision_id: 0.9 for one in applied.situations})
        settled = self.core.settle(applied.situations, answers, MODEL)
        self.decisions += settled.decisions
        return settled

    def commit(self, users: Collection[str] | None = None) -> list[OutputRecord]:
        """Makes a checkpoint durable and returns what may be written then; of only `users` and no mark: nothing."""
        records = self.core.checkpoint(len(self.decisions), 1)
        for key, value in ((record.key or b"", record.value) for record in records):
            if users is not None and key.decode() not in users:
                continue
            if value is None:
                self.durable.pop(key, None)
            else:
                self.durable[key] = value
        return self.core.durable() if users is None else []

    def restart(self) -> Restored:
        """Takes over what is durable; reads nothing yet."""
        self.core = Partition(0, SOURCES, self.rules, self.shop)
        marked = self.durable.get(MARK_KEY)
        mark = None if marked is None else decode_mark(marked)
        users = {key.decode(): value for key, value in self.durable.items() if key != MARK_KEY}
        return self.core.restore(users, mark, self.decisions[mark.decisions if mark else 0 :])

    def reread(self, topic: str) -> Applied:
        """Takes what of a topic lies beyond the position."""
        records = self.clicks if topic == TOPIC else self.met
        return self.core.apply(topic, records[self.core.positions.get(topic, 0) :])

    def user(self, name: str) -> UserState:
        """Returns the live state of an id that must be known."""
        return user(self.core, name)

    def identity(self, name: str) -> Identity:
        """Returns what an id must know of others."""
        identity = self.user(name).identity
        assert identity is not None
        return identity


def read(records: Iterable[OutputRecord]) -> list[Any]:
    """Returns identity records as they are read: `Ask`, `Move` or `Forward`, which the test knows."""
    return [decode_identity(record.key, record.value) for record in records]
