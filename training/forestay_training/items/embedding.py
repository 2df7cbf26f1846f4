"""What the served model has made of users right before their orders: computed by the serving code, from files."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from forestay.core.decision.answer import Embedding
from forestay.core.decision.model_input import ModelInput, model_input, stack
from forestay.core.event import NEVER
from forestay.core.rules import Rules
from forestay.history.point_in_time import STEP, Tell
from forestay.history.reading import EventFile
from forestay.history.rebuild import in_order, rebuilt_at
from forestay.history.told import History, Told
from forestay_training.evaluation.served import ServedModel
from forestay_training.items.orders import Later

#: Users whose inputs are held at once: some 3 kB each.
_HELD: Final = 4_096


def with_embeddings(
    later: Sequence[Later], files: Sequence[EventFile], rules: Rules, model: ServedModel, tell: Tell
) -> list[Later]:
    """Returns the orders, each with the user's embedding 1 ms before it; None stays where nothing was before.

    Ids are taken as they are: two that are one user are two.

    Raises:
        OSError: a file cannot be read.
        ForestayError: a file is damaged, or the model tells no embedding.
    """
    moments: dict[str, set[int]] = defaultdict(set)
    for one in later:
        moments[one.user].add(one.at)
    found: dict[tuple[str, int], Embedding] = {}
    with History() as history:
        _read(files, moments, history, tell)
        held: dict[tuple[str, int], ModelInput] = {}
        for bucket in history.buckets():
            tell("asking the model, users", bucket, len(history.buckets()))
            for user, told in history.users(bucket, {}):
                held |= _inputs(user, told[user], sorted(moments[user]), rules)
                if len(held) >= _HELD:
                    found |= _answers(held, model)
                    held = {}
        found |= _answers(held, model)
    return [one._replace(embedding=found.get((one.user, one.at))) for one in later]


def _read(files: Sequence[EventFile], wanted: Mapping[str, object], history: History, tell: Tell) -> None:
    for file in files:
        for row in file.read():
            if row.position % STEP == 0:
                tell(f"reading {file.path.name}", row.position, file.rows)
            # What cannot be read was told of when the orders were.
            if row.event is not None and row.event.user_id in wanted:
                event = row.event
                history.add(Told(event.user_id, event.ts, NEVER, row.value), event.user_id)


def _inputs(user: str, told: Sequence[Told], at: Sequence[int], rules: Rules) -> dict[tuple[str, int], ModelInput]:
    states = rebuilt_at(in_order(told), rules, [moment - 1 for moment in at])
    return {
        (user, moment): model_input(state, rules.features, moment - 1)
        for moment, state in zip(at, states, strict=True)
        if state is not None
    }


def _answers(held: Mapping[tuple[str, int], ModelInput], model: ServedModel) -> dict[tuple[str, int], Embedding]:
    if not held:
        return {}
    return dict(zip(held, model.embeddings(stack(list(held.values()))), strict=True))
