"""Recounts from the topics what a run must have done; shares nothing with the engine but the state codec."""

import json
from collections import Counter, defaultdict
from typing import Any

from support.features import features_of
from support.workers import TopicReader

from forestay.core.feature_set import DEFAULT_FEATURES, FEATURE_NAMES
from forestay.core.state.seal import unsealed
from forestay.core.state.state_codec import decode_user, is_users
from forestay.core.state.user_state import UserState
from forestay.settings import Settings


class Account:
    """Everything on the topics of `settings`, read once."""

    def __init__(self, settings: Settings) -> None:
        topics = settings.topics
        self.events = _read(settings, topics.clickstream)
        self.dead_letters = {
            tuple(_header(record, f"forestay-{part}") for part in ("topic", "partition", "offset"))
            for record in _read(settings, topics.dead_letters)
        }
        self.decisions = [json.loads(record.value) for record in _read(settings, topics.decisions)]
        self.actions = [json.loads(record.value) for record in _read(settings, topics.actions)]
        self.states = latest_states(_read(settings, topics.state))

    def check(self) -> None:
        """Asserts that nothing was lost, nothing counted twice, and every action has its one decision."""
        self._check_events()
        self._check_users()
        self._check_decisions()

    def _check_events(self) -> None:
        applied = sum(state.applied for state in self.states.values())
        duplicates = sum(state.duplicates for state in self.states.values())
        assert len(self.events) == applied + duplicates + len(self.dead_letters)

    def _check_users(self) -> None:
        """Recounts each user's events and spend from the source topic, with nothing but a set and a sum."""
        ids: dict[str, set[str]] = defaultdict(set)
        spend: Counter[str] = Counter()
        for record in self.events:
            if _coordinates(record) in self.dead_letters:
                continue
            event = json.loads(record.value)
            user = event["user_id"]
            if event["event_id"] not in ids[user] and event["event"] == "purchase":
                spend[user] += round(event["price"] * 100) * event["quantity"]
            ids[user].add(event["event_id"])
        assert {user: state.applied for user, state in self.states.items()} == {u: len(ids[u]) for u in ids}
        assert {user: _spend(state) for user, state in self.states.items()} == {u: spend[u] for u in ids}

    def _check_decisions(self) -> None:
        contents = {decision["decision_id"]: decision for decision in self.decisions}
        assert all(contents[decision["decision_id"]] == decision for decision in self.decisions)
        for action in self.actions:
            decision = contents[action["decision_id"]]
            assert (decision["action_id"], decision["offer_id"]) == (action["action_id"], action["offer_id"])
        acted = {decision["action_id"] for decision in self.decisions} - {None}
        assert acted == {action["action_id"] for action in self.actions}
        remembered = sum(len(state.contacts) for state in self.states.values())
        assert remembered == len(acted)

    def rungs(self) -> Counter[str]:
        """How many decisions stood on each rung."""
        return Counter(decision["churn"]["rung"] for decision in self.decisions)


def _read(settings: Settings, topic: str) -> list[Any]:
    reader = TopicReader(settings, topic)
    try:
        return reader.read_to_end()
    finally:
        reader.close()


def latest_states(records: list[Any]) -> dict[str, UserState]:
    """The newest state of each user among `records` of the changelog."""
    latest = {(record.partition, record.key): record.value for record in records}
    return {
        key.decode(): decode_user(unsealed(key, value), DEFAULT_FEATURES)
        for (_, key), value in latest.items()
        if is_users(key) and value is not None
    }


def _spend(state: UserState) -> int:
    """What the user has ever bought, in hundredths of the currency."""
    values = features_of(state, DEFAULT_FEATURES, state.last_ts)
    return round(values[FEATURE_NAMES.index("spend_total")] * 100)


def _coordinates(record: Any) -> tuple[str, ...]:
    return (record.topic, str(record.partition), str(record.offset))


def _header(record: Any, name: str) -> str:
    # The last of a name is the one the engine added.
    values: list[bytes] = [value for key, value in record.headers if key == name]
    return values[-1].decode()
