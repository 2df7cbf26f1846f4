"""Rows by offset: what was taken must be there, and the end of a log may be a mark of Kafka's own."""

from collections.abc import Collection, Iterator, Sequence

import pytest

from forestay.recording import RecordedMessage
from forestay.rerun.shelf import MissingRowsError, Shelf


class Rows:
    """Recordings in memory."""

    def __init__(self, *offsets: tuple[int, int]) -> None:
        """Holds rows of the topic t: partitions and offsets."""
        self._rows = [RecordedMessage("t", partition, offset, 0, None, b"x", ()) for partition, offset in offsets]
        self.topics = ["t"]

    def rows(self, topics: Collection[str]) -> Iterator[RecordedMessage]:
        return iter([row for row in self._rows if row.topic in topics])


def offsets(rows: Sequence[RecordedMessage]) -> list[int]:
    return [row.offset for row in rows]


@pytest.mark.parametrize(
    ("begin", "end", "there"), [(0, 1, []), (0, 4, [1, 2]), (2, 3, [2]), (3, 4, []), (3, 9, [5]), (5, 5, [])]
)
def test_a_range_that_ends_with_a_mark_has_the_rows_there_are(begin: int, end: int, there: list[int]) -> None:
    shelf = Shelf(Rows((0, 1), (1, 7), (0, 2), (0, 5)))
    assert offsets(shelf.found("t", 0, begin, end)) == there
    assert offsets(shelf.found("t", 0, 0, 9)) == [1, 2, 5]


def test_what_a_batch_took_last_must_be_there() -> None:
    shelf = Shelf(Rows((0, 1), (0, 2), (0, 5)))
    assert offsets(shelf.take("t", 0, 0, 3, more=False)) == [1, 2]
    assert offsets(shelf.take("t", 0, 2, 3, more=True)) == [2, 5]
    with pytest.raises(MissingRowsError, match="from offset 3 to 3"):
        shelf.take("t", 0, 3, 4, more=False)
