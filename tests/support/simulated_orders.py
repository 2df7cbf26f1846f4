"""Orders of a made-up world, as a file of events."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from forestay.core.units import to_datetime
from forestay_training.simulation.effects import Effects
from forestay_training.simulation.rhythm import Rhythm
from forestay_training.simulation.world import Ordered, World


def ordered_by(rhythm: Rhythm, effects: Effects, *, users: int, days: int, seed: int) -> Iterator[Ordered]:
    """Yields the orders of a world in which nothing is offered."""
    world = World(rhythm, effects, users, days, seed)
    for _day in range(days):
        yield from world.next_day()


def write_orders(path: Path, orders: Iterable[Ordered]) -> Path:
    """Writes them as JSON lines."""
    lines = [
        json.dumps(
            {
                "event_id": f"e{number}",
                "user_id": f"u{one.user}",
                "event": "purchase",
                "ts": to_datetime(one.ts).isoformat(),
                "order_id": f"o{number}",
                "item_id": "cd",
                "price": one.value,
            }
        )
        for number, one in enumerate(orders)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path
