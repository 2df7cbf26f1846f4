"""What the ledger says of a partition (design D5): enough to make every batch again, and to see where it differs."""

from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final, NamedTuple

from xxhash import xxh3_128_hexdigest, xxh3_128_intdigest

from forestay.core.budget.records import BudgetsMark, encode_budgets
from forestay.core.decision.answer import ModelIdentity
from forestay.core.event import NEVER
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord
from forestay.core.state.pauses_mark import PausesMark, encode_pauses
from forestay.core.state.state_codec import MARK_KEY
from forestay.core.units import to_datetime
from forestay_schemas.ledger import Digested, LedgerBatch, LedgerCommit, LedgerModel, LedgerStart

_NULL: Final = -1


class Taken(NamedTuple):
    """What a batch took of its topic: offsets from `begin` to `end` (exclusive).

    `more`: it was given the next record too. `now` is the wall clock it was told (milliseconds), `NEVER` if none.
    """

    topic: str
    begin: int
    end: int
    more: bool
    now: int


class Found(NamedTuple):
    """What a worker found when it took a partition over.

    `users` are the durable ones, as `users_digest` tells them; `decisions` the offsets of those beyond the mark.
    """

    users: Digested
    decisions: range


class Ledger:
    """The entries of one partition since it was taken over, in order.

    They are written with the commit that makes their batches durable: of what is made again after a crash there is
    no entry, but for the last commit's where the crash came between its entries and its state.
    """

    def __init__(self, partition: Partition, generation: int, configuration: str) -> None:
        """`generation` is the consumer group's, `configuration` the digest of all that decides what comes out."""
        self._partition = partition
        self._generation = generation
        self._configuration = configuration
        self._entries: list[OutputRecord] = []
        self._model: tuple[ModelIdentity, LedgerModel] | None = None

    def adopt(self, configuration: str) -> None:
        """Names another configuration from the next batch on."""
        self._configuration = configuration

    def start(self, found: Found, version: str) -> None:
        """Enters that the partition was taken over, with the decisions found taken as made."""
        self._enter(
            LedgerStart(
                **self._place(),
                positions=self._partition.positions,
                decisions=found.decisions.start,
                decisions_end=found.decisions.stop,
                state=found.users,
                configuration=self._configuration,
                catalogue=self._partition.version,
                forestay=version,
            )
        )

    def batch(self, taken: Taken, model: ModelIdentity, made: Mapping[str, Sequence[OutputRecord]]) -> None:
        """Enters a batch the partition has just worked off; `made` is what it wrote, by role of topic."""
        self._enter(
            LedgerBatch(
                **self._place(),
                topic=taken.topic,
                begin=taken.begin,
                end=taken.end,
                more=taken.more,
                now=_moment(taken.now),
                model=self._stamp(model),
                configuration=self._configuration,
                catalogue=self._partition.version,
                made={role: digested(records) for role, records in made.items() if records},
            )
        )

    def commit(self, decisions: int, state: Sequence[OutputRecord]) -> list[OutputRecord]:
        """Enters a commit, and returns all entries that were not handed out yet, to be written before its state.

        `decisions` is the end of the decision topic, `state` what the partition's checkpoint gave: users, and the
        mark last, which is left out of the digest: what it says of the partition stands here, but for its budgets and
        its automatic pauses.
        """
        self._enter(
            LedgerCommit(
                **self._place(),
                positions=self._partition.positions,
                decisions=decisions,
                state=state_digest(state, self._partition.book.mark, self._partition.pauses.mark),
            )
        )
        entries, self._entries = self._entries, []
        return entries

    def _enter(self, entry: LedgerStart | LedgerBatch | LedgerCommit) -> None:
        self._entries.append(OutputRecord(None, entry.model_dump_json().encode()))

    def _place(self) -> dict[str, Any]:
        partition = self._partition
        return {
            "partition": partition.number,
            "generation": self._generation,
            "clock": _moment(partition.clock),
            "watermark": _moment(partition.watermark),
        }

    def _stamp(self, model: ModelIdentity) -> LedgerModel:
        """Returns the model's name as the ledger has it, made once a model."""
        if self._model is None or self._model[0] is not model:
            stamp = LedgerModel(name=model.name, version=model.version, horizon_days=model.horizon_days)
            self._model = (model, stamp)
        return self._model[1]


def state_digest(
    state: Sequence[OutputRecord], budgets: BudgetsMark | None, pauses: PausesMark | None = None
) -> Digested:
    """Returns the digest of a checkpoint: its records but for the mark, and the mark's budgets and pauses if any."""
    told = [] if budgets is None else [OutputRecord(MARK_KEY, encode_budgets(budgets))]
    told += [] if pauses is None else [OutputRecord(MARK_KEY, encode_pauses(pauses))]
    return digested([*state[:-1], *told])


def digested(records: Sequence[OutputRecord]) -> Digested:
    """Returns how many records there are, and their digest."""
    return Digested(records=len(records), digest=digest(records))


def users_digest(users: Mapping[str, bytes]) -> Digested:
    """Returns how many users there are, and the XOR of `user_hash` of each: in any order, 0.5 µs each."""
    found = 0
    for user_id, record in users.items():
        found ^= user_hash(user_id, record)
    return Digested(records=len(users), digest=f"{found:032x}")


def user_hash(user_id: str, record: bytes) -> int:
    """Returns the XXH3 (128 bits) of the id in UTF-8, a zero byte, and the state record."""
    return xxh3_128_intdigest(b"%b\0%b" % (user_id.encode(), record))


def digest(records: Sequence[OutputRecord]) -> str:
    """Returns 32 hexadecimal digits that change with any record, or with their order.

    XXH3 (128 bits, not cryptographic: it finds what differs, not who forged it) over: the lengths in bytes of all
    keys, of all values, and the number of headers of each record; the lengths of names and values of all headers, in
    turn; all as 8 bytes little-endian, -1 for null; then all keys, all values, all names and values of headers.
    """
    keys = [record.key for record in records]
    values = [record.value for record in records]
    headers = [record.headers for record in records]
    parts = [part for own in headers for name, content in own for part in (name.encode(), content)]
    lengths = array("q", [_NULL if part is None else len(part) for part in chain(keys, values)])
    lengths.extend(map(len, headers))
    lengths.extend(_NULL if part is None else len(part) for part in parts)
    return xxh3_128_hexdigest(b"".join([lengths.tobytes(), *(part for part in chain(keys, values, parts) if part)]))


def _moment(milliseconds: int) -> datetime | None:
    return None if milliseconds == NEVER else to_datetime(milliseconds)
