"""Small builders of what the core takes: click events, source records, catalogues, partitions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from forestay.configuration import Configuration
from forestay.core.applied import Applied
from forestay.core.budget.book import Book
from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.deciding import Settled
from forestay.core.decision.model_input import ModelInput
from forestay.core.decision.situation import Situation, decision_id
from forestay.core.event import NEVER, from_contract
from forestay.core.feature_set import DEFAULT_FEATURES, FEATURE_COUNT, FEATURE_NAMES, FeatureSet
from forestay.core.ledger import Found, users_digest
from forestay.core.partition import Partition
from forestay.core.record import Headers, OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.sources import Sources
from forestay.core.state.state_codec import MARK_KEY, decode_mark, encode_user
from forestay.core.state.user_state import UserState, apply_event
from forestay.core.units import to_datetime
from forestay_schemas import ClickEvent, Trigger, TriggerKind, rfc3339

TOPIC: Final = "clickstream"
CLOCK_TOPIC: Final = "forestay-clock"
FEEDBACK_TOPIC: Final = "action-feedback"
SOURCES: Final = Sources(TOPIC, CLOCK_TOPIC, "forestay-identity", FEEDBACK_TOPIC, "forestay-budget")
#: 2026-01-01T00:00:00Z
START: Final = 1_767_225_600_000
RULES: Final = Rules()
#: Stands for the digest of all that is set.
DIGEST: Final = 32 * "0"
#: What a worker finds of a partition on which nobody has worked.
NOTHING_FOUND: Final = Found(users_digest({}), range(0))
NO_BUDGETS: Final = Book([], 0, 1)
MODEL: Final = ModelIdentity("churn_transformer", "7", horizon_days=60)

#: A click event as JSON has it.
Click = dict[str, Any]


def click(event_id: str = "e1", user_id: str = "u1", event: str = "page_view", ts: int = START, **more: Any) -> Click:
    """Returns a valid click event; `more` are further fields."""
    return {"event_id": event_id, "user_id": user_id, "event": event, "ts": ts, **more}


def source(
    value: Mapping[str, Any] | bytes | None,
    offset: int = 0,
    *,
    key: bytes | None = b"u1",
    timestamp: int | None = None,
    partition: int = 0,
    headers: Headers = (),
) -> SourceRecord:
    """Returns a record of the clickstream; a mapping is written as JSON, keyed and stamped as it says."""
    stamp = START
    if isinstance(value, Mapping):
        key = str(value["user_id"]).encode()
        if isinstance(value["ts"], int):
            stamp = value["ts"]
        value = json.dumps(value).encode()
    return SourceRecord(TOPIC, partition, offset, stamp if timestamp is None else timestamp, key, value, headers)


def stream(*clicks: Mapping[str, Any] | bytes) -> list[SourceRecord]:
    """Returns the records of a clickstream, offsets from 0."""
    return [source(value, offset) for offset, value in enumerate(clicks)]


def tick(ts: int, offset: int = 0) -> SourceRecord:
    """Returns a clock record."""
    value = json.dumps({"ts": rfc3339(to_datetime(ts))}).encode()
    return SourceRecord(CLOCK_TOPIC, 0, offset, ts, None, value)


def configuration(rules: Rules = RULES) -> Configuration:
    """Returns what a worker runs with: the catalogue of `catalogue()`."""
    return Configuration(rules, catalogue(), DIGEST)


def offer(offer_id: str = "o1", **more: Any) -> dict[str, Any]:
    """Returns an offer as a catalogue's YAML has it: free, for everybody, without a cooldown of its own."""
    return {"id": offer_id, "kind": "message", "channel": "email", "effect": 0.5, "cooldown_days": 0, **more}


def catalogue(
    *offers: Mapping[str, Any],
    policy: Mapping[str, Any] | None = None,
    budgets: Sequence[Mapping[str, Any]] = (),
    **guardrails: Any,
) -> Catalogue:
    """Returns a catalogue whose guardrails all stand open but for those given."""
    open_wide = {"cap_contacts": None, "cooldown_days": 0, "holdout": 0} | guardrails
    content = {"name": "test", "offers": list(offers) or [offer()], "guardrails": open_wide, "policy": policy or {}}
    content["budgets"] = budgets
    return Catalogue.model_validate(content)


def partition(rules: Rules | None = None, shop: Catalogue | None = None) -> Partition:
    """Returns partition 0, empty."""
    return Partition(0, SOURCES, rules or Rules(), shop or catalogue())


def apply(core: Partition, records: Sequence[SourceRecord]) -> Applied:
    """Applies records of one topic."""
    return core.apply(records[0].topic if records else TOPIC, records)


def answered(probabilities: Mapping[str, float | None]) -> dict[str, Answer]:
    """Returns `MODEL`'s answers, by decision id."""
    return {name: Answer(probability, MODEL) for name, probability in probabilities.items()}


def settle(core: Partition, records: Sequence[SourceRecord], probability: float | None = 0.9) -> Settled:
    """Takes records through the core as one batch; the model gives everybody the same probability."""
    situations = apply(core, records).situations
    answers = {situation.decision_id: Answer(probability, MODEL) for situation in situations}
    return core.settle(situations, answers, MODEL)


def user(core: Partition, user_id: str = "u1") -> UserState:
    """Returns the state of a user who must be known."""
    state = core.users.get(user_id)
    assert state is not None
    return state


def lived(*clicks: Click) -> UserState:
    """Returns the state of a user who did `clicks`, none of them too late or a repeat."""
    state = UserState(DEFAULT_FEATURES.new_parts())
    for one in clicks:
        event = from_contract(ClickEvent.model_validate(one))
        apply_event(state, event, RULES.lateness)
        state.event_ids.add(event.id_hash, event.ts, RULES.lateness)
    return state


def encoded(
    state: UserState,
    rules: Rules = RULES,
    *,
    watermark: int = NEVER,
) -> bytes:
    """Returns a state's record as of no timer, written when the newest event was that of `watermark`."""
    oldest = max(watermark, state.event_ids.latest) - rules.lateness
    return encode_user(state, rules.features, oldest, rules.lateness, NEVER)


def feature(state: UserState, name: str, now: int | None = None, features: FeatureSet = DEFAULT_FEATURES) -> float:
    """Returns a feature of the user by name, at the user's newest moment unless told otherwise."""
    moment = state.last_ts if now is None else now
    return features.values(state.parts, moment, state.last_ts)[features.names.index(name)]


def states(core: Partition, rules: Rules = RULES) -> dict[str, bytes]:
    """Returns every user's record as it would be written now, the memory of what is written untouched."""
    return {name: encoded(user(core, name), rules, watermark=core.watermark) for name in core.users.ids()}


def restored(records: Sequence[OutputRecord], rules: Rules | None = None, shop: Catalogue | None = None) -> Partition:
    """Returns a partition that takes over what checkpoints wrote, the newest record of each key."""
    latest = {record.key or b"": record.value for record in records}
    mark = latest.pop(MARK_KEY, None)
    core = partition(rules, shop)
    users = {key.decode(): value for key, value in latest.items() if value is not None}
    core.restore(users, None if mark is None else decode_mark(mark))
    return core


def situation(
    features: Mapping[str, float] | None = None, *, now: int = START, user_id: str = "u1", kind: str = "event"
) -> Situation:
    """Returns a situation whose features are 0 but for those given; the input is otherwise empty."""
    vector = np.zeros(FEATURE_COUNT, dtype=np.float32)
    for name, value in (features or {}).items():
        vector[FEATURE_NAMES.index(name)] = value
    empty = ModelInput(np.zeros((64, 4), dtype=np.int32), np.zeros((64, 9), dtype=np.float32), vector)
    trigger = Trigger(kind=TriggerKind(kind), name=None, event_id=None, topic=TOPIC, partition=0, offset=0)
    return Situation(decision_id(user_id, now), user_id, now, now, trigger, None, empty)
