"""The job in plain Python, as every Python peer runs it, and what the harness tells a worker."""

import os
import resource
import time
from datetime import datetime
from typing import Any

KINDS = {"page_view": 0, "view_item": 1, "add_to_cart": 2, "begin_checkout": 3, "purchase": 4}
PURCHASE = 4
HOUR = 3_600_000
DAY = 86_400_000
RECENT = 32

#: A user's state: 24 hour buckets and 30 day buckets, each [number, five counts, spend] or None; the last time of
#: each kind; the last 32 events as milliseconds * 8 + kind. Spend in hundredths of the currency.
State = list[list[Any]]


def setting(name: str) -> str:
    """Returns what the harness has set; a KeyError where it has not."""
    return os.environ[f"BENCH_{name}"]


def new_state() -> State:
    """Returns the state of a user never seen."""
    return [[None] * 24, [None] * 30, [0] * 5, []]


def update(state: State, event: dict[str, Any]) -> dict[str, Any] | None:
    """Counts one decoded event; returns the output record if it asks for one.

    Written out in one piece: a call costs what ten of these lines do.
    """
    kind = KINDS[event["event"]]
    ts = event["ts"]
    millis = round(datetime.fromisoformat(ts).timestamp() * 1000)
    hours, days, last, recent = state
    h = millis // HOUR
    d = millis // DAY
    hour = hours[h % 24]
    if hour is None or hour[0] != h:
        hour = hours[h % 24] = [h, 0, 0, 0, 0, 0, 0]
    hour[kind + 1] += 1
    day = days[d % 30]
    if day is None or day[0] != d:
        day = days[d % 30] = [d, 0, 0, 0, 0, 0, 0]
    day[kind + 1] += 1
    if kind == PURCHASE:
        cents = round(event["price"] * 100) * event["quantity"]
        hour[6] += cents
        day[6] += cents
    last[kind] = millis
    recent.append(millis * 8 + kind)
    if len(recent) > RECENT:
        del recent[0]
    if kind < KINDS["add_to_cart"]:
        return None
    a0 = a1 = a2 = a3 = a4 = spend_day = 0
    for bucket in hours:
        if bucket is not None and bucket[0] > h - 24:
            _, x0, x1, x2, x3, x4, x5 = bucket
            a0 += x0
            a1 += x1
            a2 += x2
            a3 += x3
            a4 += x4
            spend_day += x5
    b0 = b1 = b2 = b3 = b4 = spend_week = 0
    for number in range(d - 6, d + 1):
        bucket = days[number % 30]
        if bucket is not None and bucket[0] == number:
            _, x0, x1, x2, x3, x4, x5 = bucket
            b0 += x0
            b1 += x1
            b2 += x2
            b3 += x3
            b4 += x4
            spend_week += x5
    return {
        "user_id": event["user_id"],
        "ts": ts,
        "c1h": hour[1:6],
        "s1h": hour[6],
        "c1d": [a0, a1, a2, a3, a4],
        "s1d": spend_day,
        "c7d": [b0, b1, b2, b3, b4],
        "s7d": spend_week,
    }


class Meter:
    """Says on stdout how far the worker is, at the first events and at each tenth: MARK events time cpu-seconds."""

    def __init__(self) -> None:
        """Nothing is done yet."""
        self.all = int(setting("EVENTS"))
        self.done = 0
        self._next = 1

    def restore(self, what: str) -> None:
        """Says that state is being restored, or is: RESTORE what time cpu-seconds."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        os.write(1, f"RESTORE {what} {time.time():.4f} {used.ru_utime + used.ru_stime:.3f}\n".encode())

    def add(self, events: int) -> None:
        """Counts events done."""
        self.done += events
        if self.done >= self._next:
            self._mark()
            tenth = max(1, self.all // 10)
            self._next = min((self.done // tenth + 1) * tenth, self.all) if self.done < self.all else 1 << 60

    def _mark(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        os.write(1, f"MARK {self.done} {time.time():.4f} {used.ru_utime + used.ru_stime:.3f}\n".encode())
