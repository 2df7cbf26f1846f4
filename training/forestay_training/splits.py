"""Which moments and which customers train, validate, calibrate and test: a split in time, labels included.

A moment's label looks `HORIZON` ahead, so a moment trains only if its label ends before what it is judged on begins.

    2010-03-07 ... 05-19     07-18 ... 08-01     10-01
    fit                      validation          test        (moments)
                   ... 07-18           ... 09-30      ... 11-30   (their labels)

Choices (epochs, parameters of the baselines) are made on the validation moments by fits on the earlier ones. Then
everything is fitted again on all moments up to 2010-08-01, but for one customer in five: these, at the newest
moments, give the calibration. The test moments are looked at by what is finished.
"""

from datetime import UTC, datetime
from typing import Final

from forestay.core.hashing import unit_interval
from forestay.core.units import DAY, to_milliseconds

#: A customer has churned if no order follows within this many milliseconds of the moment.
HORIZON_DAYS: Final = 60
HORIZON: Final = HORIZON_DAYS * DAY
#: Only customers who ordered within this long before the moment are asked about.
OBSERVED: Final = 150 * DAY


def moment(year: int, month: int, day: int) -> int:
    """Returns midnight UTC in milliseconds since the epoch."""
    return to_milliseconds(datetime(year, month, day, tzinfo=UTC))


#: Before this, less than a season lies behind a moment: the recording begins on 2009-12-01.
FIRST: Final = moment(2010, 3, 7)
LAST: Final = moment(2010, 8, 1)
#: The four cutoffs other people's figures for this data set are trained on, and the one they are tested at.
PUBLISHED: Final = (moment(2010, 5, 1), moment(2010, 6, 1), moment(2010, 7, 1), LAST)
TEST: Final = moment(2010, 10, 1)

#: Calendar cutoffs of training: every fortnight, and the published ones. Weekly ones validate no better.
CUTOFFS: Final = tuple(sorted({*PUBLISHED, *range(LAST, FIRST - 1, -14 * DAY)}))

#: Validation: the newest fortnight with both its ends, so two cutoffs of the calendar.
VALIDATE_FROM: Final = LAST - 14 * DAY
#: The newest moment that may be fitted on before validation.
FIT_UNTIL: Final = VALIDATE_FROM - HORIZON
#: Live moments (events and silences) of these days are the second test; their labels end within the recording.
LIVE_TEST_UNTIL: Final = TEST + 9 * DAY

#: The last moment of any event or label the model has seen.
TRAINED_UNTIL: Final = LAST + HORIZON

#: Share of the customers whose rows fit nothing.
HELD_OUT: Final = 0.2


def held_out(user: str) -> bool:
    """Says whether `user` is one of those nothing is fitted on: the calibration needs strangers."""
    return unit_interval("held out", user) < HELD_OUT
