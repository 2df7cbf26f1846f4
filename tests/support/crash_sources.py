"""Sources for lives that end in a crash: two topics in the order of one life."""

from random import Random

from support.builders import click, source, tick

from forestay.core.record import SourceRecord
from forestay.core.units import DAY, HOUR

START = 1_700_000_000_000


def sources(random: Random, count: int = 120) -> list[SourceRecord]:
    """Returns two topics in the order of one life: events on time, late, too late, repeated or broken, and ticks."""
    now, made, sent = START, list[SourceRecord](), list[dict[str, object]]()
    ticks = 0
    for number in range(count):
        now += random.choice([0, 1, 900_000, HOUR, 6 * HOUR, DAY, 3 * DAY])
        offset = len(made) - ticks
        chance = random.random()
        if chance < 0.12:
            made.append(tick(now, ticks))
            ticks += 1
        elif chance < 0.17:
            made.append(source(b"{broken", offset))
        elif chance < 0.25 and sent:
            made.append(source(random.choice(sent), offset, timestamp=now))
        else:
            late = random.choice([0, 0, 0, 0, 0, 1, HOUR, DAY, 2 * DAY, 10 * DAY])
            kind = random.choice(["purchase", "purchase", "view_item", "refund", "add_to_cart", "add_to_cart"])
            event = click(f"e{number}", f"u{random.randint(1, 5)}", kind, now - late, order_id=f"o{number % 17}")
            sent.append(event | {"price": random.randint(1, 90), "quantity": random.randint(1, 3)})
            made.append(source(sent[-1], offset))
    return made
