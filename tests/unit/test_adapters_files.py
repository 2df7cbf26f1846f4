"""Files of foreign events: told apart by their first character, read record by record, broken parts named."""

import json
from pathlib import Path

import pytest

from forestay.adapters.files import Read, read_records
from forestay.adapters.mapping import CsvForm
from forestay.core.errors import ForestayError


def read(tmp_path: Path, content: bytes, form: CsvForm | None = None) -> list[Read]:
    file = tmp_path / "sample"
    file.write_bytes(content)
    return list(read_records(file, form or CsvForm()))


def records(found: list[Read]) -> list[object]:
    return [entry.record for entry in found if entry.record is not None]


def codes(found: list[Read]) -> list[tuple[int, str]]:
    return [(entry.position, entry.problem.code) for entry in found if entry.problem is not None]


def test_json_lines_go_on_after_a_broken_one(tmp_path: Path) -> None:
    found = read(tmp_path, b'\xef\xbb\xbf{"a": 1}\n\n{"a": \n[2]\n{"a": 3}')
    assert records(found) == [{"a": 1}, {"a": 3}]
    assert codes(found) == [(3, "not_json"), (4, "not_object")]


def test_a_line_that_is_too_large_is_passed_over(tmp_path: Path) -> None:
    found = read(tmp_path, b'{"a": 1}\n{"a": "' + b"x" * 3_000_000 + b'"}\n{"a": 3}\n')
    assert records(found) == [{"a": 1}, {"a": 3}]
    assert codes(found) == [(2, "too_large")]


def test_an_array_is_read_element_by_element(tmp_path: Path) -> None:
    elements = [{"n": number, "text": "£" * 999} for number in range(300)]
    found = read(tmp_path, json.dumps(elements, ensure_ascii=False, indent=1).encode())
    assert records(found) == elements
    assert [entry.position for entry in found] == list(range(1, 301))


def test_objects_over_several_lines(tmp_path: Path) -> None:
    assert records(read(tmp_path, b'{\n "a": 1\n}\n{\n "a": 2}\n')) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("content", [b'[{"a": 1}, {"a": ', b'[{"a": 1}, oops]'])
def test_what_breaks_an_array_ends_it_and_is_told(tmp_path: Path, content: bytes) -> None:
    found = read(tmp_path, content)
    assert records(found) == [{"a": 1}]
    assert codes(found) == [(2, "not_json")]


def test_what_is_no_object_in_an_array_is_told_and_passed(tmp_path: Path) -> None:
    found = read(tmp_path, b'[1, {"a": 1}]')
    assert records(found) == [{"a": 1}]
    assert codes(found) == [(1, "not_object")]


def test_an_element_that_is_too_large_ends_an_array(tmp_path: Path) -> None:
    found = read(tmp_path, b'[{"a": "' + b"x" * 3_000_000 + b'"}, {"a": 1}]')
    assert (records(found), codes(found)) == ([], [(1, "too_large")])


def test_csv_rows_by_their_header(tmp_path: Path) -> None:
    found = read(tmp_path, b'\xef\xbb\xbfa, b\r\n1,"x,\ny"\r\n\r\n2\r\n3,4,5\r\n6,7\r\n')
    assert records(found) == [{"a": "1", "b": "x,\ny"}, {"a": "2"}, {"a": "6", "b": "7"}]
    assert codes(found) == [(6, "not_csv")]


def test_csv_without_a_header_and_with_another_delimiter(tmp_path: Path) -> None:
    form = CsvForm(columns=("a", "b"), delimiter=";")
    assert records(read(tmp_path, b"1;2\n3;4\n", form)) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_a_broken_quote_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, b'a,b\n1,"x"y\n2,3\n')
    assert records(found) == [{"a": "2", "b": "3"}]
    assert codes(found) == [(2, "not_csv")]


def test_lines_in_another_encoding(tmp_path: Path) -> None:
    content = b"a\n\xc2\xa3\n\xa3\n"
    assert records(read(tmp_path, content, CsvForm(fallback_encoding="latin-1"))) == [{"a": "£"}, {"a": "£"}]
    with pytest.raises(ForestayError, match="line 3 is not UTF-8"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "told"), [(b" \n", "holds nothing"), (b"a,a\n1,2\n", "no header"), (b'["\xff"]', "UTF-8")]
)
def test_files_that_hold_no_records(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(ForestayError, match=told):
        read(tmp_path, content)
