"""A small world whose books balance, and hypothesis strategies that make such worlds."""

from typing import Any

from hypothesis import strategies as st

from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.state.contact import MAX_CONTACTS, Contact
from forestay.core.state.mark import PartitionMark
from forestay.core.state.user_state import UserState
from forestay.core.units import to_datetime
from forestay.demo.books import Evidence
from forestay.output_reading import Action, Churn, Decision, SeenAction, SeenDeadLetter, SeenDecision, Stamp, Trigger
from forestay_schemas.types import ActionKind, TriggerKind

TOPIC, CLOCK = "clickstream", "forestay-clock"


def state_of(applied: int = 0, duplicates: int = 0) -> UserState:
    """Returns a state that says of itself how many events it has seen, and has no other content."""
    state = UserState(DEFAULT_FEATURES.new_parts())
    state.applied, state.duplicates = applied, duplicates
    return state


def changed_state(state: UserState, **changes: Any) -> UserState:
    """Returns a copy of what the books look at, with `changes`."""
    other = state_of(state.applied, state.duplicates)
    other.contacts, other.scored_ts = list(state.contacts), state.scored_ts
    for name, value in changes.items():
        setattr(other, name, value)
    return other


def seen_decision(number: int, user: str, ts: int, offer: str | None, partition: int = 0) -> SeenDecision:
    decision = Decision(
        decision_id=f"d{number}",
        user_id=user,
        decided_at=to_datetime(ts),
        trigger=Trigger(TriggerKind.EVENT, TOPIC, partition, number),
        churn=Churn(0.5, "model", 60, "churn_transformer", "1"),
        offer_id=offer,
        action_id=f"a{number}" if offer else None,
    )
    return SeenDecision(decision, Stamp(b"d%d" % number, ts, ts))


def seen_action(decision: SeenDecision, cost: float = 1.0, kind: ActionKind = ActionKind.MESSAGE) -> SeenAction:
    record = decision.record
    action = Action(
        action_id=record.action_id or "",
        decision_id=record.decision_id,
        user_id=record.user_id,
        decided_at=record.decided_at,
        kind=kind,
        offer_id=record.offer_id or "",
        channel="email",
        cost=cost,
        trigger=record.trigger,
        churn=record.churn,
    )
    return SeenAction(action, Stamp(b"a" + decision.stamp.digest, decision.stamp.timestamp, decision.stamp.arrived))


def dead_letter(partition: int, offset: int, code: str = "contract", topic: str = TOPIC) -> SeenDeadLetter:
    return SeenDeadLetter(topic, partition, offset, code, "price: must be a number", b"%d-%d" % (partition, offset))


def world(users: list[list[tuple[int, str | None]]], duplicates: list[int], dead: int, partitions: int) -> Evidence:
    """Returns balanced evidence: per user the moments scored and the offer made, the repeats, then broken records."""
    states: dict[str, UserState] = {}
    source: dict[int, int] = dict.fromkeys(range(partitions), 0)
    log: dict[int, int] = dict.fromkeys(range(partitions), 0)
    decisions: list[SeenDecision] = []
    for index, (scored, repeats) in enumerate(zip(users, duplicates, strict=True)):
        user, partition = f"u{index}", index % partitions
        state = states[user] = state_of(len(scored) + 1, repeats)
        source[partition] += state.applied + repeats
        for ts, offer in scored:
            decisions.append(seen_decision(len(decisions), user, ts, offer, partition))
            log[partition] += 1
            state.scored_ts = ts
            if offer:
                state.contacts = [*state.contacts, Contact(ts, offer)][-MAX_CONTACTS:]
    letters = []
    for number in range(dead):
        letters.append(dead_letter(number % partitions, source[number % partitions]))
        source[number % partitions] += 1
    marks = {n: PartitionMark({TOPIC: source[n], CLOCK: 1}, 0, log[n], 1, 0) for n in range(partitions)}
    return Evidence(
        sent=sum(source.values()),
        clickstream=TOPIC,
        clock_topic=CLOCK,
        source=source,
        clock=dict.fromkeys(range(partitions), 1),
        log=log,
        states=states,
        marks=marks,
        dead_letters=letters,
        decisions=decisions,
        actions=[seen_action(decision) for decision in decisions if decision.record.action_id],
    )


@st.composite
def worlds(draw: st.DrawFn) -> Evidence:
    """Draws worlds of a few users, with more contacts than a state remembers now and then."""
    moments = st.lists(
        st.tuples(st.integers(1, 10**12), st.sampled_from([None, "coupon-10", "points-500"])),
        max_size=6,
        unique_by=lambda moment: moment[0],
    )
    users = draw(st.lists(moments, min_size=1, max_size=4))
    if draw(st.booleans()):
        users.append([(ts, "coupon-10") for ts in range(1, MAX_CONTACTS + 4)])
    duplicates = draw(st.lists(st.integers(0, 2), min_size=len(users), max_size=len(users)))
    return world(users, duplicates, draw(st.integers(0, 3)), draw(st.integers(1, 3)))
