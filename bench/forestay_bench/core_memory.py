"""What users take in a worker's memory: packed as after recovery, and after many had events."""

import gc
import os
import sys
from dataclasses import dataclass
from typing import Final

from forestay.core.partition import Partition
from forestay_bench.core_records import Recorded, defaults, partition
from forestay_bench.core_replicas import mark, replicas
from forestay_bench.processes import peak_memory, resident_bytes

GIB: Final = 2**30
#: As many as topics have by default: one worker has them all.
PARTITIONS: Final = 4
#: Real timers stand in a million different minutes; replicas of 4,300 users do once they are moved, up to 15 days.
SPREAD: Final = range(2, 30)
#: Users touched in a partition, by commits: more than ever are live.
_TOUCHED: Final = 50_000
_COMMIT_EVERY: Final = 500


@dataclass
class Memory:
    """Bytes. `_a_user` are means over all users, the rest of `bytes_a_user` is timers and what Python adds.

    `base_bytes` is a worker's process before it has users, with all its modules. `idle_bytes` is the whole process
    after recovery, `peak_bytes` its most during it, `busy_bytes` when `touched` users have had events.
    """

    users: int
    base_bytes: int
    idle_bytes: int
    peak_bytes: int
    busy_bytes: int
    touched: int
    bytes_a_user: float
    record_a_user: float
    record_object_a_user: float
    id_a_user: float
    tables_a_user: float
    fits: bool
    fits_busy: bool


@dataclass
class LiveMemory:
    """What a live user takes, by as many as stay so in a partition."""

    users: int
    bytes_a_user: float


def measure_packed(made: Recorded, users: int) -> Memory:
    """Returns what so many users take in the partitions of a worker. To be called once a process."""
    gc.collect()
    base = resident_bytes()
    # As recovery does: by the bytes of the keys first.
    latest: list[dict[bytes, bytes]] = [{} for _ in range(PARTITIONS)]
    for number, (user, record) in enumerate(replicas(made.records, users, SPREAD)):
        latest[number % PARTITIONS][user.encode()] = record
    held = [{key.decode(): record for key, record in found.items()} for found in latest]
    del latest
    records = [record for found in held for record in found.values()]
    length, objects = sum(map(len, records)), sum(map(sys.getsizeof, records))
    ids = sum(sys.getsizeof(user) for found in held for user in found)
    tables = sum(map(sys.getsizeof, held))
    del records
    cores = []
    for found in held:
        cores.append(partition(defaults()))
        cores[-1].restore(found, mark(made))
    gc.collect()
    idle, peak = resident_bytes(), round(peak_memory([os.getpid()]) * 1e6)
    touched = _touch(cores)
    gc.collect()
    busy = resident_bytes()
    return Memory(
        users=users,
        base_bytes=base,
        idle_bytes=idle,
        peak_bytes=peak,
        busy_bytes=busy,
        touched=touched,
        bytes_a_user=(idle - base) / users,
        record_a_user=length / users,
        record_object_a_user=(objects - length) / users,
        id_a_user=ids / users,
        tables_a_user=tables / users,
        fits=idle <= GIB,
        fits_busy=busy <= GIB,
    )


def measure_live(made: Recorded, users: int) -> LiveMemory:
    """Returns what a user takes where all are unpacked. To be called once a process."""
    core = partition(defaults())
    gc.collect()
    base = resident_bytes()
    core.restore(dict(replicas(made.records, users, SPREAD)), mark(made))
    for user in core.users.ids():
        core.users.get(user)
    gc.collect()
    return LiveMemory(users, (resident_bytes() - base) / users)


def _touch(cores: list[Partition]) -> int:
    """Unpacks users of every partition, and packs again as commits do; returns how many it were."""
    touched = 0
    for core in cores:
        ids = core.users.ids()[:_TOUCHED]
        for start in range(0, len(ids), _COMMIT_EVERY):
            for user in ids[start : start + _COMMIT_EVERY]:
                core.users.get(user)
            core.users.cool()
        touched += len(ids)
    return touched
