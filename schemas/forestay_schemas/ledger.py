"""The contracts of the `forestay-ledger` topic: what each batch took and made, and which commit made it durable."""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from forestay_schemas.retention_action import Contract
from forestay_schemas.types import Timestamp

#: 32 hexadecimal digits; for records see `forestay.core.ledger.digest`.
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Offset = Annotated[int, Field(ge=0)]


class Digested(Contract):
    """How many records went to one topic, and what they were."""

    records: int = Field(ge=0)
    digest: Digest


class Entry(Contract):
    """What every record of the ledger says: whose it is, and where the partition's event time stood after it.

    `generation` is the consumer group's. `clock` is the event time that has been told, `watermark` the newest of the
    click events; null before the first.
    """

    partition: Offset
    generation: int
    clock: Timestamp | None
    watermark: Timestamp | None


class LedgerStart(Entry):
    """A worker took the partition over: entries before it that go beyond `positions` never became durable.

    It goes on from `positions`, the next offsets to read by topic, and takes the decisions with offsets from
    `decisions` to `decisions_end` (exclusive) as made. `state` are the users it found (`forestay.core.ledger`,
    `users_digest`): a commit that was broken off may have left some of its own. `configuration` names all that
    decides what the batches after it make, `catalogue` the version of the catalogue alone (null: of before it was
    told); `forestay` is the version that runs.
    """

    kind: Literal["start"] = "start"
    positions: dict[str, Offset]
    decisions: Offset
    decisions_end: Offset
    state: Digested
    configuration: Digest
    catalogue: str | None = None
    forestay: str


class LedgerModel(Contract):
    """The model that was asked."""

    name: str
    version: str
    horizon_days: int


class LedgerBatch(Entry):
    """One batch: it took the records of `topic` from offset `begin` to `end` (exclusive).

    `more`: it was given the record after them too, which woke users and was left to the next batch. `now` is the wall
    clock it was told, null where recorded time was all there was. `configuration` and `catalogue` are as in a start,
    and may have changed since: a worker may follow the catalogue's topic. `made` holds what it wrote, by role of
    topic; roles with no record are left out.
    """

    kind: Literal["batch"] = "batch"
    topic: str
    begin: Offset
    end: Offset
    more: bool
    now: Timestamp | None
    model: LedgerModel
    configuration: Digest
    catalogue: str | None = None
    made: dict[str, Digested]


class LedgerCommit(Entry):
    """The state after all batches before it: `state` is what it wrote to the changelog, but for the mark.

    `positions` are the next offsets to read by topic, `decisions` the end of the decision topic.
    """

    kind: Literal["commit"] = "commit"
    positions: dict[str, Offset]
    decisions: Offset
    state: Digested


class LedgerRecord(RootModel[Annotated[LedgerStart | LedgerBatch | LedgerCommit, Field(discriminator="kind")]]):
    """One record of the topic; `root` is what it is."""
