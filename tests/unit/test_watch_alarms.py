"""Alarms from begin to end, and the course of a watch that is reported."""

from support.builders import START

from forestay.core.units import DAY, HOUR, MINUTE
from forestay.core.watch.alarms import Alarms
from forestay.core.watch.findings import Finding, Judged
from forestay.core.watch.returns import Windows
from forestay.watching.course import Course

NONE = Windows(0, 0.0, 0.0, 0)


def drift(value: float | None, *, of: str = "cart_value") -> Finding:
    limit = None if value is None else 0.1
    return Finding("psi", of, value, limit, 300, alarm=value is not None and value > 0.1)


def test_an_alarm_that_flickers_is_one() -> None:
    alarms, begun, over = Alarms(), 0, []
    for hour in range(100):
        turned = alarms.take(START + hour * HOUR, [drift(0.2 if hour < 50 and hour % 7 == 0 else 0.05)])
        begun += len(turned.begun)
        over += [hour] * len(turned.over)
    assert begun == 1
    # It was seen last in hour 49, and well from the next on.
    assert over == [74]
    assert alarms.on == frozenset()


def test_what_cannot_be_told_ends_no_alarm() -> None:
    alarms = Alarms()
    alarms.take(START, [drift(0.2)])
    for day in range(1, 9):
        assert alarms.take(START + day * DAY, [drift(None)]).over == []
    assert alarms.on == {"psi of cart_value"}


def test_a_field_is_well_again_after_five_minutes() -> None:
    alarms = Alarms()
    broken = Finding("missing", "price", 1.0, 0.1, 500, alarm=True, usual=0.0)
    well = broken._replace(value=0.0, alarm=False)
    assert alarms.take(START, [broken]).begun == [broken]
    ended = next(minute for minute in range(1, 20) if alarms.take(START + minute * MINUTE, [well]).over)
    assert ended == 6


def judged(*findings: Finding) -> Judged:
    return Judged(list(findings), NONE, None, None)


def test_the_course_keeps_begin_end_and_worst_of_each_alarm() -> None:
    course = Course()
    for hour, value in enumerate([0.05, 0.2, 0.4, 0.3, *[0.05] * 40]):
        course.take(START + hour * HOUR, judged(drift(value), drift(0.01, of="tenure_hours")))
    (alarm,) = course.alarms
    assert (alarm.watch, alarm.of, alarm.value) == ("psi", "cart_value", 0.4)
    assert alarm.began == START + HOUR
    assert alarm.ended == START + 28 * HOUR
    assert alarm.worst == "psi of cart_value: 0.400, above 0.100 (300 users)"
    assert len(course.days) == 2
    first, second = course.lines()
    assert (first.values, first.days_of_alarm) == ([0.4, 0.05], 1)
    assert (second.last.of, second.days_of_alarm) == ("tenure_hours", 0)


def test_an_alarm_at_the_end_is_still_on_and_time_never_goes_back() -> None:
    course = Course()
    course.take(START + DAY, judged(drift(0.2)))
    course.take(START, judged(drift(0.3)))
    (alarm,) = course.alarms
    assert (alarm.began, alarm.ended, alarm.value) == (START + DAY, None, 0.3)
    assert len(course.days) == 1
