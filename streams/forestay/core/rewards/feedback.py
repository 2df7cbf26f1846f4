"""Feedback on actions as the core sees it."""

from pydantic import ValidationError

from forestay.core.decoding.decode import check_future, describe
from forestay.core.errors import DeadLetter
from forestay.core.event import NEVER
from forestay.core.record import Record
from forestay.core.units import to_milliseconds
from forestay_schemas.action_feedback import ActionFeedback


def decode_feedback(record: Record, now: int = NEVER) -> ActionFeedback:
    """Returns the feedback in `record`; `now` as in `decode_click`.

    Raises:
        DeadLetter: the record breaks its contract, its key is not its user, or it lies in the future.
    """
    try:
        feedback = ActionFeedback.model_validate_json(record.value or b"")
    except ValidationError as error:
        raise DeadLetter(*describe(error)) from error
    if record.key != feedback.user_id.encode():
        raise DeadLetter("wrong_key", "the record's key is not its user_id in UTF-8: key the topic by user")
    told = record.timestamp
    check_future(to_milliseconds(feedback.ts), NEVER if told is None else told, now)
    return feedback
