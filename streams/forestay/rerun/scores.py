"""Where churn probabilities come from when no worker asks for them."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.model_input import ModelInput
from forestay.core.decision.recorded import recorded_embedding
from forestay.core.decision.situation import Situation
from forestay.core.survival import Survival
from forestay.rerun.outputs import Kind, Made
from forestay_schemas.retention_action import Factor
from forestay_schemas.types import Rung

#: The stamp of what no model was asked about.
NO_MODEL: Final = ModelIdentity("churn_transformer", "unknown", horizon_days=60)


class Scores(Protocol):
    """Answers on situations."""

    def answer(self, situations: Sequence[Situation]) -> list[Answer]:
        """Returns one answer a situation, in order."""


class NoScores:
    """No model: the lower rungs of the ladder decide."""

    def answer(self, situations: Sequence[Situation]) -> list[Answer]:
        """See `Scores.answer`."""
        return [Answer(None, NO_MODEL)] * len(situations)


class ModelScores:
    """A model that is a function of its input."""

    def __init__(self, model: Callable[[ModelInput], float | None], identity: ModelIdentity) -> None:
        """`model` answers on one user's input."""
        self._model = model
        self._identity = identity

    def answer(self, situations: Sequence[Situation]) -> list[Answer]:
        """See `Scores.answer`."""
        return [Answer(self._model(situation.input), self._identity) for situation in situations]


class _Factor(msgspec.Struct, frozen=True):
    group: str
    log_odds: float


class _Curve(msgspec.Struct, frozen=True):
    hours: tuple[int, ...]
    shares: tuple[int, ...]


class _Churn(msgspec.Struct, frozen=True):
    probability: float
    horizon_days: int
    model: str
    version: str
    rung: str
    factors: tuple[_Factor, ...] = ()
    survival: _Curve | None = None


class _Scored(msgspec.Struct, frozen=True):
    decision_id: str
    churn: _Churn
    feature_hash: str
    embedding: tuple[float, ...] = ()


class _Kept(NamedTuple):
    """A recorded score, and the first 16 digits of the hash of the input it was given for."""

    answer: Answer
    input_hash: str


_decode: Final = msgspec.json.Decoder(_Scored).decode
_HASH: Final = 16


class ScoreBook:
    """Scores of decisions that were made before: about 300 bytes each.

    A score counts only for the very input it was given for. What the book does not know is asked of `beyond`.
    """

    def __init__(self, beyond: Scores) -> None:
        """Starts empty."""
        self.found = 0
        #: Situations that the book does not know, and those that it knows with another input.
        self.missing = 0
        self.other_input = 0
        self._beyond = beyond
        self._kept: dict[str, _Kept] = {}
        self._models: dict[tuple[str, str, int], ModelIdentity] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, decision: bytes) -> None:
        """Takes the score of a decision, as it stands on its topic.

        Raises:
            msgspec.DecodeError: it is none.
        """
        scored = _decode(decision)
        churn = scored.churn
        name = (churn.model, churn.version, churn.horizon_days)
        model = self._models.setdefault(name, ModelIdentity(*name))
        # On a lower rung the model had not answered, and the ladder is climbed again.
        probability = churn.probability if churn.rung == Rung.MODEL else None
        factors = tuple(Factor(group=one.group, log_odds=one.log_odds) for one in churn.factors)
        curve = None if churn.survival is None else Survival(churn.survival.hours, churn.survival.shares)
        embedding = recorded_embedding(churn.version, scored.embedding)
        self._kept[scored.decision_id] = _Kept(
            Answer(probability, model, factors, curve, embedding), scored.feature_hash[:_HASH]
        )

    def take(self, made: Made) -> None:
        """See `Sink.take`: remembers the scores of decisions as they are made."""
        if made.kind is Kind.DECISIONS:
            for record in made.records:
                self.add(record.value or b"")

    def answer(self, situations: Sequence[Situation]) -> list[Answer]:
        """See `Scores.answer`."""
        answers: list[Answer | None] = [self._look_up(situation) for situation in situations]
        unknown = [one for one, answer in zip(situations, answers, strict=True) if answer is None]
        others = iter(self._beyond.answer(unknown) if unknown else ())
        return [next(others) if answer is None else answer for answer in answers]

    def _look_up(self, situation: Situation) -> Answer | None:
        kept = self._kept.get(situation.decision_id)
        if kept is None:
            self.missing += 1
            return None
        if situation.input_hash()[:_HASH] != kept.input_hash:
            self.other_input += 1
            return None
        self.found += 1
        return kept.answer
