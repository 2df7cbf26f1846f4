"""The records of the internal budget topic: what partitions report to a budget's treasurer, and what it answers.

Each is for one partition. Both carry the totals that were ever given and received (`lease.py`); so any of them may be
lost, or come twice or late (docs/budgets.md).
"""

from typing import Annotated, Final

import msgspec

from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.budget import MOST_UNITS
from forestay.core.errors import DeadLetter
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS

_Partition = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Units = Annotated[int, msgspec.Meta(ge=0, le=2**62 - 1)]
#: What is left may be below 0, where a limit was lowered.
_Left = Annotated[int, msgspec.Meta(ge=-MOST_UNITS, le=MOST_UNITS)]
_Moment = Annotated[int, msgspec.Meta(ge=0, le=MAX_EPOCH_MILLISECONDS)]
_Price = Annotated[float, msgspec.Meta(ge=1, le=1e6)]
_Steps = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="is"):
    """What `sender` tells `receiver` about one account, at its clock `at`; moments are milliseconds.

    `given` are the units that `sender` has ever given to `receiver`, `received` those that it ever had from it.
    """

    sender: _Partition
    receiver: _Partition
    budget: _Text
    period: _Text
    arm: _Text | None
    end: _Moment
    at: _Moment
    given: _Units
    received: _Units
    price: _Price

    @property
    def key(self) -> AccountKey:
        """Returns which account it is about."""
        return AccountKey(self.budget, self.period, self.arm)


class Report(_Message, tag="report", frozen=True, kw_only=True):
    """From a partition to the treasurer: units taken, units left, and the dearest offer refused since the last."""

    taken: _Units
    left: _Left
    want: _Units


class Answer(_Message, tag="answer", frozen=True, kw_only=True):
    """From the treasurer: the common price, the usual one, its steps; and units that are to come back (`call`)."""

    usual: _Price
    steps: _Steps
    call: _Units


Message = Report | Answer

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Message).decode


def encode_message(message: Message) -> bytes:
    """Returns a message as its record's value."""
    return bytes(_encode(message))


def message_key(message: Message) -> bytes:
    """Returns the key of a message's record: the newest of a sender about an account tells what older ones did."""
    return bytes(_encode([*message.key, message.sender]))


def decode_message(value: bytes | None, number: int) -> Message:
    """Returns the message in a record of partition `number`.

    Raises:
        DeadLetter: it is none, or is for another partition.
    """
    try:
        message: Message = _decode(value or b"")
    except msgspec.MsgspecError as error:
        raise DeadLetter("budget", f"no message about a budget: {error}") from error
    if message.receiver != number or message.sender == number:
        raise DeadLetter("budget", f"the message is for partition {message.receiver}, from {message.sender}")
    return message
