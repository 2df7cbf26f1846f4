"""A Triton without a server: versions that answer, fail or hang as they are told to, behind the client's methods."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from support.builders import START, click, lived
from tritonclient.utils import InferenceServerException

from forestay.core.decision.model_input import INPUT_DIGEST, model_input
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.units import DAY
from forestay.shell.scoring.asked import Question
from forestay.shell.scoring.rollout import Rollout, facts_as_parameters

#: What a version says to so many users, by output.
Outputs = Mapping[str, "np.ndarray[Any, Any]"]
Says = Callable[[int], Awaitable[Outputs]]


def says(probability: float, **more: Sequence[float]) -> Says:
    """Returns a version that says the same of everybody."""

    async def answer(rows: int) -> Outputs:
        found = {name: np.tile(np.array(row, np.float32), (rows, 1)) for name, row in more.items()}
        return found | {"churn_probability": np.full((rows, 1), probability, np.float32)}

    return answer


async def fails(rows: int) -> Outputs:
    """A version that answers with an error."""
    raise InferenceServerException(f"no answer on {rows} users")


async def hangs(rows: int) -> Outputs:
    """A version that never answers."""
    del rows
    return await asyncio.Future()


class Answered:
    """What the client returns."""

    def __init__(self, version: str, outputs: Outputs) -> None:
        self.model_version = version
        self.as_numpy = outputs.get

    def get_response(self) -> "Answered":
        return self


class StandIn:
    """The client, and behind it the server: `versions` by number, and the roll-out its configuration declares."""

    def __init__(self, versions: dict[str, Says], rollout: Rollout | None) -> None:
        self.versions = versions
        self.rollout = rollout
        #: By version: requests, and users asked about.
        self.requests: Counter[str] = Counter()
        self.users: Counter[str] = Counter()
        #: What versions say of themselves beside what all do, by number.
        self.facts: dict[str, dict[str, str]] = {}
        self.outputs = ["churn_probability"]

    async def get_model_config(self, name: str, **options: Any) -> dict[str, Any]:
        del options
        parameters: dict[str, str] = {}
        current = int(max(self.versions)) if self.rollout is None else self.rollout.current
        for number in self.versions:
            facts = {"input_digest": INPUT_DIGEST, "model_version": f"m{number}", "horizon_days": "60"}
            parameters |= facts_as_parameters(facts | self.facts.get(number, {}), int(number), current)
        if self.rollout is not None:
            parameters |= self.rollout.parameters()
        as_json = {key: {"string_value": text} for key, text in parameters.items()}
        return {"config": {"name": name, "parameters": as_json, "output": [{"name": one} for one in self.outputs]}}

    async def infer(self, name: str, inputs: Any, *, model_version: str, outputs: Any, **options: Any) -> Answered:
        del name, options
        number = model_version or max(self.versions)
        if number not in self.versions:
            raise InferenceServerException(f"version {number} is not at ready state")
        rows = int(inputs[0].shape()[0])
        self.requests[number] += 1
        self.users[number] += rows
        told = await self.versions[number](rows)
        return Answered(number, {one.name(): told[one.name()] for one in outputs})

    async def close(self) -> None:
        """Nothing is open."""


def questions(count: int) -> list[Question]:
    """Returns questions about so many users."""
    given = model_input(lived(click("e1", event="purchase", price=5, item_id="i")), DEFAULT_FEATURES, START + DAY)
    return [Question(f"u{number}", given) for number in range(count)]
