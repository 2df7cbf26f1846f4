"""Records that break the contract of the clickstream, each with the codes by which they may be refused."""

import json
from random import Random
from typing import Final, NamedTuple

#: Thirty years: in the future of any clock.
_AHEAD: Final = 946_080_000_000


class Broken(NamedTuple):
    """A record that no worker may count."""

    key: bytes | None
    value: bytes | None
    codes: frozenset[str]


def broken(random: Random, user: str, ts: int) -> Broken:
    """Returns a broken record in the name of `user`; `ts` is the time of the traffic (milliseconds)."""
    event = {"event_id": f"broken-{random.getrandbits(48):x}", "user_id": user, "event": "purchase", "ts": ts}
    event["price"] = 5.0
    good = json.dumps(event).encode()
    key = user.encode()
    return random.choice(
        (
            _of(key, None, "no_value"),
            _of(key, b"", "not_json"),
            _of(key, good[: random.randrange(1, len(good))], "not_json"),
            _of(key, b"\xff\xfe" + good, "not_json"),
            _of(key, good.replace(b"purchase", b"perchase"), "contract"),
            _of(key, good.replace(b"5.0", b'"5.0"'), "contract"),
            _of(key, json.dumps(event | {"price": -1.0}).encode(), "contract"),
            _of(key, json.dumps({**event, "event_id": None}).encode(), "contract"),
            _of(key, json.dumps([event]).encode(), "contract"),
            _of(key, json.dumps(event | {"ts": ts + _AHEAD}).encode(), "in_the_future"),
            _of(b"somebody-else", good, "wrong_key"),
            _of(None, good, "wrong_key"),
        )
    )


def _of(key: bytes | None, value: bytes | None, *codes: str) -> Broken:
    return Broken(key, value, frozenset(codes))
