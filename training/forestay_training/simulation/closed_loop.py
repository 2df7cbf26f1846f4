"""One policy in the made-up shop: the engine's own core decides, users answer, outcomes teach, and so on.

Features, triggers, guardrails, budgets, weighing, rewards and fitting are the product's; the churn probability is
what is known of the made-up user (no model), so that what is judged is the policy.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.policy import cost
from forestay.core.decision.situation import Situation
from forestay.core.event import EVENT_CODES
from forestay.core.patterns.pattern_rules import Triggers
from forestay.core.record import Record, SourceRecord
from forestay.core.rules import Rules
from forestay.core.sources import Sources
from forestay.core.state.state_codec import MARK_KEY, decode_mark, is_reservation, is_users
from forestay.core.units import DAY, to_datetime, to_milliseconds
from forestay.rerun.lane import Batch, Lane, Plan
from forestay.rerun.outputs import Kind, Made
from forestay_schemas import ClockRecord
from forestay_training.offpolicy.own_log import NOTHING
from forestay_training.offpolicy.records import Decided, Outcome, Records, decision_of, outcome_of
from forestay_training.simulation.effects import LAPSES, Effects
from forestay_training.simulation.world import CHURN_DAYS, FIRST_DAY, Ordered, World

#: The stamp of what stands in for the model.
KNOWN: Final = ModelIdentity("known-rhythm", "1", CHURN_DAYS)
_SOURCES: Final = Sources("clickstream", "forestay-clock", "forestay-identity", "action-feedback", "forestay-budget")
_TRIGGERS: Final = Triggers.model_validate(
    {
        "triggers": [
            {"name": name, "when": "purchase", "unless": [], "after": f"{hours}h", "again_after": "30d"}
            for name, hours in LAPSES.items()
        ]
    }
)


class Judged(NamedTuple):
    """A decision that had a choice, with what is true of it, in the shop's currency.

    `decided_at` is in milliseconds. `values` are those of every candidate, by offer; `chances` the policy's.
    """

    decision_id: str
    day: int
    decided_at: int
    values: Mapping[str, float]
    chances: Mapping[str, float]
    spent: float

    @property
    def expected(self) -> float:
        """Returns what the policy could expect."""
        return sum(chance * self.values[name] for name, chance in self.chances.items())

    @property
    def gain(self) -> float:
        """Returns what that is above doing nothing."""
        return self.expected - self.values[NOTHING]

    @property
    def regret(self) -> float:
        """Returns by how much the best candidate is better than that."""
        return max(self.values.values()) - self.expected


class Run(NamedTuple):
    """What one policy did in one world: decisions with a choice in order, the log it leaves, and how many ordered."""

    judged: list[Judged]
    records: Records
    orders: int


#: From the log so far to the catalogue that goes on, at the end of a period.
Learn = Callable[[Records], Catalogue]


def run(  # noqa: PLR0917 - all that a run depends on
    world: World, effects: Effects, catalogue: Catalogue, days: int, learn: Learn | None, every: int
) -> Run:
    """Returns what came of `days` days under a catalogue; `learn` gives another one each `every` days."""
    loop = _Loop(world, effects, catalogue)
    for day in range(days):
        if learn is not None and day and day % every == 0:
            loop.ship(learn(loop.records()))
        loop.live(world.next_day())
    return Run(loop.judged, loop.records(), loop.orders)


class _Loop:
    """A partition of the engine, and the world about it."""

    def __init__(self, world: World, effects: Effects, catalogue: Catalogue) -> None:
        self.judged: list[Judged] = []
        self.orders = 0
        self._world = world
        self._rules = Rules(
            # Nothing but silences and lapses asks for a decision.
            score_on=frozenset({EVENT_CODES["refund"]}),
            reward_horizon=effects.horizon_days * DAY,
            patterns=_TRIGGERS.rules(),
            merge_identities=False,
        )
        self._durable: dict[bytes, bytes] = {}
        self._decisions: dict[str, Decided] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._offsets: dict[str, int] = defaultdict(int)
        self._begin(catalogue)

    def records(self) -> Records:
        """Returns the log so far."""
        return Records(dict(self._decisions), dict(self._outcomes), 0)

    def ship(self, catalogue: Catalogue) -> None:
        """Goes on with another catalogue, as a worker does that is started again with it."""
        for record in self._lane.checkpoint(self._lane.decisions, 0):
            key = record.key or b""
            if record.value is None:
                self._durable.pop(key, None)
            else:
                self._durable[key] = record.value
        self._lane.core.durable()
        self._begin(catalogue)

    def live(self, ordered: Sequence[Ordered]) -> None:
        """Lives through a day: its orders, then its afternoon."""
        values = [_event(one, self.orders + number) for number, one in enumerate(ordered)]
        self.orders += len(ordered)
        keys = [f"u{one.user}".encode() for one in ordered]
        clicks = [
            self._record(_SOURCES.clickstream, one.ts, key, value)
            for one, key, value in zip(ordered, keys, values, strict=True)
        ]
        if clicks:
            self._work(Batch(_SOURCES.clickstream, clicks))
        evening = (FIRST_DAY + self._world.day + 1) * DAY
        told = ClockRecord(ts=to_datetime(evening)).model_dump_json().encode()
        self._work(Batch(_SOURCES.clock, [self._record(_SOURCES.clock, evening, None, told)]))

    def _begin(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lane = Lane(Plan(_SOURCES, self._rules, catalogue, lambda _key: 0), 0)
        if self._durable:
            users = {
                key.decode(): value for key, value in self._durable.items() if is_users(key) or is_reservation(key)
            }
            self._lane.core.restore(users, decode_mark(self._durable[MARK_KEY]))

    def _record(self, topic: str, ts: int, key: bytes | None, value: bytes) -> SourceRecord:
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        return SourceRecord(topic, 0, offset, ts, key, value)

    def _work(self, batch: Batch) -> None:
        records: Sequence[Record] = batch.records
        while records:
            applied = self._lane.apply(Batch(batch.topic, records))
            assert not applied.dead_letters  # noqa: S101 - the world makes no bad events
            for made in self._lane.settle([self._answer(one) for one in applied.situations]):
                self._take(made)
            records = records[applied.taken :]

    def _answer(self, situation: Situation) -> Answer:
        return Answer(self._world.churn(_number(situation.user_id)), KNOWN)

    def _take(self, made: Made) -> None:
        if made.kind is Kind.DECISIONS:
            for record in made.records:
                self._decided(decision_of(record.value or b"", "the simulation"))
        elif made.kind is Kind.OUTCOMES:
            for record in made.records:
                outcome = outcome_of(record.value or b"", "the simulation")
                self._outcomes[outcome.decision_id] = outcome

    def _decided(self, decision: Decided) -> None:
        if len(decision.candidates) < 2:  # noqa: PLR2004 - nothing to choose
            return
        self._decisions[decision.decision_id] = decision
        user, spent = _number(decision.user_id), 0.0
        values = {NOTHING: self._world.nothing(user)}
        for one in decision.candidates:
            offer = self._catalogue.offer(one.offer_id)
            if offer is not None:
                price = cost(offer, decision.features["average_basket"])
                values[offer.id] = values[NOTHING] + self._world.gain(user, offer.id) - price
                spent = price if offer.id == decision.offer_id else spent
        chances = {one.offer_id or NOTHING: one.propensity for one in decision.candidates}
        self.judged.append(
            Judged(
                decision.decision_id, self._world.day, to_milliseconds(decision.decided_at), values, chances, spent
            )
        )
        if decision.offer_id is not None:
            self._world.offer(user, decision.offer_id)


def _number(user_id: str) -> int:
    return int(user_id.removeprefix("u"))


def _event(one: Ordered, number: int) -> bytes:
    return msgspec.json.encode(
        {
            "event_id": f"simulated-{number}",
            "user_id": f"u{one.user}",
            "event": "purchase",
            "ts": to_datetime(one.ts),
            "order_id": f"o{number}",
            "item_id": "simulated",
            "price": one.value,
            "quantity": 1,
        }
    )
