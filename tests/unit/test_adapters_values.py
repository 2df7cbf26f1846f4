"""Foreign values as texts, numbers and moments: what is read, what is refused."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from forestay.adapters.errors import ConversionError
from forestay.adapters.values import (
    NumberForm,
    to_moment,
    to_number,
    to_text,
    to_whole_number,
    without_zero_fraction,
)
from forestay_schemas.types import rfc3339


@pytest.mark.parametrize(
    ("value", "text"),
    [(" a ", "a"), (12, "12"), (12.0, "12"), (1.5, "1.5"), (820982911946154508, "820982911946154508")],
)
def test_texts(value: Any, text: str) -> None:
    assert to_text(value) == text


@pytest.mark.parametrize("value", [True, None, [], {"a": 1}, 10**200])
def test_what_is_no_text(value: Any) -> None:
    with pytest.raises(ConversionError):
        to_text(value)


@pytest.mark.parametrize(("text", "whole"), [("12.0", "12"), ("12.50", "12.50"), ("12", "12"), ("A.0", "A.0")])
def test_whole_ids_of_spreadsheets(text: str, whole: str) -> None:
    assert without_zero_fraction(text) == whole


@pytest.mark.parametrize(
    ("value", "form", "number"),
    [
        ("19.99", NumberForm(), "19.99"),
        (3, NumberForm(), "3"),
        (0.1, NumberForm(), "0.1"),
        ("1.234,50", NumberForm(decimal_comma=True), "1234.50"),
        (12.5, NumberForm(decimal_comma=True), "12.5"),
        ("-4", NumberForm(absolute=True), "4"),
        (1999, NumberForm(divide_by=Decimal(100)), "19.99"),
    ],
)
def test_numbers(value: Any, form: NumberForm, number: str) -> None:
    assert to_number(value, form) == Decimal(number)


@pytest.mark.parametrize(
    "value", ["", "12 EUR", "1,5", "NaN", "Infinity", "1_000", "1e999", "9" * 101, True, None, []]
)
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(ConversionError):
        to_number(value, NumberForm())


def test_a_whole_number_may_be_written_with_a_fraction_of_zero() -> None:
    assert to_whole_number("2.0", NumberForm()) == 2
    with pytest.raises(ConversionError, match="whole"):
        to_whole_number("2.5", NumberForm())


@pytest.mark.parametrize(
    ("value", "modes", "moment"),
    [
        ("2026-02-03T11:00:00-05:00", ["rfc3339"], "2026-02-03T16:00:00.000Z"),
        ("2026-02-03T16:00:00.123456Z", ["rfc3339"], "2026-02-03T16:00:00.123Z"),
        (1770136131, ["seconds"], "2026-02-03T16:28:51.000Z"),
        ("1770136131.5", ["seconds"], "2026-02-03T16:28:51.500Z"),
        ("1770136131500", ["milliseconds"], "2026-02-03T16:28:51.500Z"),
        ("1770136131500123", ["microseconds"], "2026-02-03T16:28:51.500Z"),
        ("2026-02-03 16:00", ["milliseconds", "%Y-%m-%d %H:%M"], "2026-02-03T16:00:00.000Z"),
        ("03/02/2026 16:00 +0100", ["%d/%m/%Y %H:%M %z"], "2026-02-03T15:00:00.000Z"),
    ],
)
def test_moments(value: Any, modes: list[str], moment: str) -> None:
    assert rfc3339(to_moment(value, modes, ZoneInfo("UTC"))) == moment


def test_a_local_time_is_read_in_its_zone_in_summer_too() -> None:
    assert to_moment("2010-07-01 09:41", ["rfc3339"], ZoneInfo("Europe/London")) == datetime.fromisoformat(
        "2010-07-01T08:41:00Z"
    )


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        ("2026-02-03T16:00:00", "rfc3339"),
        ("2026-02-03", "rfc3339"),
        ("yesterday", "rfc3339"),
        (1770136131, "rfc3339"),
        (-1, "seconds"),
        (1e300, "seconds"),
        ("9999-12-31T23:59:59-23:00", "rfc3339"),
        (None, "milliseconds"),
        (True, "milliseconds"),
    ],
)
def test_what_is_no_moment(value: Any, mode: str) -> None:
    with pytest.raises(ConversionError, match="not a time"):
        to_moment(value, [mode], None)
