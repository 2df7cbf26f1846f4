"""The worked example of `docs/state.md` is the record that the code writes."""

import re
from pathlib import Path

from support.builders import RULES, START, click, lived

from forestay.core.state.state_codec import encode_user
from forestay.core.units import DAY, MINUTE

PAGE = Path(__file__).parents[2] / "docs" / "state.md"


def shown() -> bytes:
    """Returns the bytes in the first column of the example's table."""
    example = PAGE.read_text().split("### An example")[1].split("\n## ")[0]
    columns = [line.split("|")[1] for line in example.splitlines() if line.startswith("| `")]
    return bytes.fromhex("".join(re.findall(r"`([0-9a-f ]+)`", " ".join(columns))))


def test_the_example_is_what_the_code_writes() -> None:
    user = lived(
        click("e1", "u1", "view_item", START, item_id="A"),
        click("e2", "u1", "add_to_cart", START + MINUTE, item_id="A", price=6.95),
        click("e3", "u1", "purchase", START + 2 * MINUTE, item_id="A", price=6.95, order_id="o1"),
    )
    user.offset = 41
    oldest = user.last_ts - RULES.lateness
    assert shown() == encode_user(user, RULES.features, oldest, RULES.lateness, user.last_ts + 14 * DAY)
