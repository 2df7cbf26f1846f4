"""Is the output right: as many records of each user as must be, and the last one of the sampled users to the cent."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from forestay_bench.expected import Counted, Expected


class _OfUser(msgspec.Struct):
    user_id: str


_user = msgspec.json.Decoder(_OfUser)
_whole = msgspec.json.Decoder(dict[str, Any])


def check(values: Iterable[bytes], expected: Expected, counted: Callable[[Mapping[str, Any]], Counted]) -> list[str]:
    """Returns what is wrong, a line each; nothing where all is right.

    `values` are the output records in the order of their partitions (a user is in one), `counted` reads one.
    """
    by_user: Counter[str] = Counter()
    last: dict[str, bytes] = {}
    for value in values:
        user = _user.decode(value).user_id
        by_user[user] += 1
        if user in expected.last:
            last[user] = value
    problems = []
    if by_user.total() != expected.records:
        problems.append(f"{by_user.total()} records came out, not {expected.records}")
    if by_user != expected.by_user:
        wrong = [user for user in by_user.keys() | expected.by_user if by_user[user] != expected.by_user.get(user, 0)]
        problems.append(f"{len(wrong)} users have too few records or too many, {min(wrong)} among them")
    found = {user: counted(_whole.decode(value)) for user, value in last.items()}
    differ = [user for user in expected.last if found.get(user) != expected.last[user]]
    if differ:
        user = differ[0]
        problems.append(
            f"the last record of {len(differ)} of {len(expected.last)} users is wrong: of {user} it is"
            f" {found.get(user)}, not {expected.last[user]}"
        )
    return problems
