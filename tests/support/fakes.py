"""Fakes of the shell's seams, held to the same contracts as the real ones (tests/contract)."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.model_input import ModelInput
from forestay.core.hashing import bytes_identifier
from forestay.core.record import OutputRecord
from forestay.shell.publisher import PublishError
from forestay.shell.scoring.asked import Asked

#: What a fake model answers for one user's input; None: it does not answer.
Model = Callable[[ModelInput], float | None]


def hashing_model(salt: str) -> Model:
    """Returns a model whose answer depends on the whole input and on `salt`, and on nothing else."""

    def answer(one: ModelInput) -> float:
        return int(bytes_identifier(salt.encode(), *(array.tobytes() for array in one))[:8], 16) / 2**32

    return answer


class FakeScorer:
    """A scorer without a server."""

    def __init__(self, identity: ModelIdentity, model: Model) -> None:
        self.model = identity
        self._answer = model

    async def score(self, asked: Sequence[Asked]) -> list[Answer]:
        return [Answer(self._answer(one.input), self.model) for one in asked]


class FakePublisher:
    """A publisher into memory; `fail_after` records it accepts no more, which may be in the middle of a call."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.log: dict[tuple[str, int], list[OutputRecord]] = defaultdict(list)
        self.calls: list[str] = []
        self._left = fail_after

    async def publish(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> int:
        if not records:
            return 0
        self.calls.append(topic)
        log = self.log[topic, partition]
        for record in records:
            if self._left == 0:
                raise PublishError(f"{topic}-{partition} is full")
            self._left = None if self._left is None else self._left - 1
            log.append(record)
        return len(log)
