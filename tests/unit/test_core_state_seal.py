"""A sealed record is what was written, under the key it was written under, or an error."""

import pytest
from support.builders import click, encoded, lived

from forestay.core.errors import StateError
from forestay.core.record import OutputRecord
from forestay.core.state.seal import SEAL, sealed, sealed_records, unsealed
from forestay.core.state.state_codec import check_known_version

RECORD = encoded(lived(click("e1"), click("e2")))


def test_what_was_sealed_is_what_comes_back() -> None:
    value = sealed(b"u1", RECORD)
    assert unsealed(b"u1", value) == RECORD
    assert len(value) == len(RECORD) + SEAL


def test_every_bit_that_is_turned_is_seen() -> None:
    value = sealed(b"u1", RECORD)
    for bit in range(8 * len(value)):
        spoilt = bytearray(value)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StateError):
            check_known_version(unsealed(b"u1", bytes(spoilt)))


def test_a_record_under_another_key_or_cut_is_seen() -> None:
    value = sealed(b"u1", RECORD)
    with pytest.raises(StateError, match="under another key"):
        unsealed(b"u2", value)
    for end in range(len(value)):
        with pytest.raises(StateError):
            check_known_version(unsealed(b"u1", value[:end]))


def test_a_record_from_before_there_were_seals_is_taken_as_it_is() -> None:
    assert unsealed(b"u1", RECORD) == RECORD


def test_tombstones_stay_tombstones() -> None:
    records = sealed_records([OutputRecord(b"u1", RECORD), OutputRecord(b"u2", None)])
    assert records == [OutputRecord(b"u1", sealed(b"u1", RECORD)), OutputRecord(b"u2", None)]
