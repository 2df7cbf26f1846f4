"""The reference: bins of about equal shares whatever the numbers are, one small text, refused if it is another's."""

import json

import numpy as np
import pytest
from support.builders import START
from support.watching import inputs, rows, served_reference

from forestay.core.errors import ConfigurationError
from forestay.core.units import HOUR
from forestay.core.watch.columns import SCORE, WATCHED, Column, fitted, is_column
from forestay.core.watch.reference import MAX_CHARACTERS, Reference, reference_of
from forestay.core.watch.seen import Seen
from forestay.core.watch.tally import Tally, binned


def test_all_that_is_watched_is_there() -> None:
    assert all(map(is_column, WATCHED))


def test_bins_of_even_numbers_have_even_shares() -> None:
    numbers = np.random.default_rng(1).normal(size=10_000)
    column = fitted("tenure_hours", numbers)
    assert column is not None
    counts = np.bincount(column.bin(numbers))
    assert len(counts) == 10
    assert counts.min() > 900


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    numbers = np.array([0.0] * 600 + [1.0] * 10 + [2.0] * 200 + list(range(3, 193)))
    column = fitted("orders_total", numbers)
    assert column is not None
    counts = np.bincount(column.bin(numbers))
    assert counts[0] == 600
    assert counts.min() >= 0.02 * len(numbers)
    assert column.bin(np.array([0.0, 1.0]))[0] != column.bin(np.array([0.0, 1.0]))[1]


def test_tokens_are_bins_by_value_and_the_rare_ones_are_one() -> None:
    column = fitted("newest_kind", np.repeat([3.0, 5.0, 9.0, 11.0], [500, 400, 90, 10]))
    assert column == Column("newest_kind", values=(3, 5, 9))
    assert column.bin(np.array([3.0, 5.0, 9.0, 11.0, 77.0])).tolist() == [0, 1, 2, 3, 3]


def test_with_every_token_known_no_bin_is_empty() -> None:
    column = fitted("newest_kind", np.repeat([3.0, 5.0], [500, 400]))
    assert column is not None
    assert np.bincount(column.bin(np.array([3.0, 5.0])), minlength=column.bins).tolist() == [1, 1]


def test_what_never_changes_is_not_watched() -> None:
    assert fitted("cart_value", np.zeros(500)) is None


def test_the_text_holds_the_counts_of_its_own_rows() -> None:
    random = np.random.default_rng(2)
    given, scores = inputs(random, 3_000), random.beta(2, 3, 3_000)
    text = reference_of(given, scores, users=[f"u{at // 3}" for at in range(3_000)])
    reference = Reference(text)
    width = max(column.bins for column in reference.columns)
    again = binned(reference, rows(given, scores, 0), scores, width)
    for counts, own in zip(reference.counts, again, strict=True):
        assert counts.tolist() == own[: len(counts)].tolist()
    assert reference.columns[-1].name == SCORE
    assert (reference.users, reference.moments) == (1_000, "cutoffs")
    assert len(text) < 6_000 < MAX_CHARACTERS
    assert reference_of(given, scores, users=[f"u{at // 3}" for at in range(3_000)]) == text


def test_the_share_that_returned_is_kept_by_score() -> None:
    random = np.random.default_rng(3)
    scores = random.uniform(size=4_000)
    returned = (random.uniform(size=4_000) < 0.5 * (1 - scores)).astype(np.float32)
    returned[:100] = np.nan
    table = Reference(reference_of(inputs(random, 4_000), scores, returned=returned)).returned
    assert table[0] > 0.4
    assert table[-1] < 0.1


def test_too_few_rows_make_none() -> None:
    with pytest.raises(ConfigurationError, match="200 are the least"):
        reference_of(inputs(np.random.default_rng(1), 50))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "forestay-reference/0"}, "train the model again"),
        ({"input_digest": "another"}, "train the model again"),
        ({"users": 0}, "makes no sense"),
        ({"returned": [0.5]}, "makes no sense"),
        ({"returned": [2.0]}, "no reference"),
        ({"columns": [{"name": "cart_value", "counts": [1, 2], "edges": [1]}] * 2}, "makes no sense"),
        ({"columns": [{"name": "shoe_size", "counts": [1, 2], "edges": [1]}]}, "shoe_size"),
        ({"columns": [{"name": "cart_value", "counts": [1, 2], "edges": [1, 2]}]}, "cart_value"),
        ({"columns": [{"name": "cart_value", "counts": [1, 2, 3], "edges": [2, 1]}]}, "cart_value"),
        ({"columns": [{"name": "cart_value", "counts": [-1, 2], "edges": [2]}]}, "no reference"),
        ({"moments": "someday"}, "no reference"),
    ],
)
def test_a_text_that_is_no_reference_is_refused(change: dict[str, object], words: str) -> None:
    text = json.dumps(json.loads(served_reference(np.random.default_rng(1)).text) | change)
    with pytest.raises(ConfigurationError, match=words):
        Reference(text)


def test_the_score_may_stand_anywhere_and_alone() -> None:
    """A reference may be written by hand: how likely a user returns is told by the score, wherever it stands."""
    random = np.random.default_rng(4)
    given, scores = inputs(random, 2_000), random.uniform(size=2_000)
    text = reference_of(given, scores, returned=(scores < 0.5).astype(float), moments="scored")
    told = json.loads(text)
    moved = told | {"columns": [told["columns"][-1], *told["columns"][:-1]]}
    alone = told | {"columns": [told["columns"][-1]]}
    sums = []
    for one in (told, moved, alone):
        tally = Tally(Reference(json.dumps(one)))
        tally.take(START, Seen(), rows(given, scores, START))
        tally.take(START + 25 * HOUR, Seen(), [])
        assert tally.rows.shape[0] == len(one["columns"])
        sums.append(tally.returns.ever.tolist())
    assert sums[0] == sums[1] == sums[2]
    assert sums[0][0] == 2_000
