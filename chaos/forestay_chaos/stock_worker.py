"""The same shop on stock Faust, as one writes it with its documentation: a twin of `forestay worker` under fire.

It counts each user in a Table, puts an action on its topic for every purchase, and on the dead letters what breaks
the contract; at least once. An action's id is made from its event's, so that a repeat can be known, and for an event
that comes again the action is sent again: rather twice than never. It reads the variables of a Forestay worker, and
says when it is ready as one does.
"""

import json
import os
import sys
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

import faust
from faust.types import EventT, StreamT
from pydantic import ValidationError

from forestay_chaos.stock_shop import State, count, new_user, told
from forestay_schemas import ClickEvent

_FUTURE_SECONDS: Final = 900.0


def _setting(name: str, default: str) -> str:
    return os.environ.get(f"FORESTAY_{name}", default)


app = faust.App(
    _setting("KAFKA__GROUP_ID", "forestay"),
    broker=[f"kafka://{server}" for server in _setting("KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092").split(",")],
    store="memory://",
    processing_guarantee="at_least_once",
    topic_partitions=int(_setting("TOPICS__PARTITIONS", "4")),
    topic_replication_factor=int(_setting("TOPICS__REPLICATION_FACTOR", "1")),
    topic_disable_leader=True,
    table_standby_replicas=0,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=float(_setting("WORKER__COMMIT_INTERVAL_SECONDS", "1")),
    broker_session_timeout=float(_setting("KAFKA__SESSION_TIMEOUT_SECONDS", "15")),
    broker_rebalance_timeout=float(_setting("KAFKA__REBALANCE_TIMEOUT_SECONDS", "60")),
    broker_heartbeat_interval=1.0,
    consumer_group_instance_id=_setting("KAFKA__GROUP_INSTANCE_ID", "") or None,
    web_enabled=False,
    worker_redirect_stdouts=False,
)


def _topic(role: str, default: str) -> Any:
    name = _setting(f"TOPICS__{role}", default)
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


clickstream = _topic("CLICKSTREAM", "clickstream")
actions = _topic("ACTIONS", "retention-actions")
dead_letters = _topic("DEAD_LETTERS", "clickstream-dlq")
features = _topic("FEATURES", "forestay-features")


async def say_ready() -> None:
    """Says which partitions of the source this worker has, now that their users are here."""
    held = sorted(tp.partition for tp in app.consumer.assignment() if tp.topic == clickstream.get_topic_name())
    sys.stderr.write(f"worker ready: partitions {held}\n")
    sys.stderr.flush()


users: Any = app.Table("users", key_type=str, on_recover=say_ready)


@app.agent(clickstream)
async def shop(stream: StreamT[bytes]) -> None:
    """Counts each event; the table is set anew so that Faust sees the change."""
    async for record in stream.events():
        event = _event(record)
        if event is None:
            await _refuse(record)
            continue
        user = event["user_id"]
        state: State = count(users.get(user) or new_user(), event)
        users[user] = state
        await features.send(key=user.encode(), value=_features(user, event["ts"], state))
        if event["event"] == "purchase":
            await actions.send(key=user.encode(), value=_action(user, event["event_id"], record))


def _event(record: EventT[bytes]) -> dict[str, Any] | None:
    """Returns the event in a record, its time in epoch milliseconds; None if it breaks the contract."""
    message = record.message
    try:
        event = ClickEvent.model_validate_json(message.value or b"")
    except ValidationError:
        return None
    seconds = event.ts.timestamp()
    if message.key != event.user_id.encode() or seconds - _FUTURE_SECONDS > message.timestamp:
        return None
    return event.model_dump(mode="json") | {"ts": round(seconds * 1_000)}


async def _refuse(record: EventT[bytes]) -> None:
    message = record.message
    where = {"topic": message.topic, "partition": str(message.partition), "offset": str(message.offset)}
    headers = [*(message.headers or ()), *((f"forestay-{name}", value.encode()) for name, value in where.items())]
    await dead_letters.send(key=message.key, value=message.value, partition=message.partition, headers=headers)


def _features(user: str, ts: int, state: State) -> bytes:
    return json.dumps({"user_id": user, "ts": ts, "features": told(state)}).encode()


def _action(user: str, event_id: str, record: EventT[bytes]) -> bytes:
    message = record.message
    trigger = {"event_id": event_id, "topic": message.topic, "partition": message.partition, "offset": message.offset}
    action = {"action_id": str(uuid5(NAMESPACE_OID, event_id)), "user_id": user, "offer_id": "coupon"}
    return json.dumps(action | {"trigger": trigger}).encode()


if __name__ == "__main__":
    # Faust reads a message's level from here; below `info` its worker would log every await.
    sys.argv = ["stock_worker", "worker", "--loglevel", "info", "--without-web"]
    app.main()
