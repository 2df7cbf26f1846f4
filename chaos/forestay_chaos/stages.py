"""The stages of a batch at which a worker can be struck: for each a function of the worker, and its side.

Test code patches the product here, in a process of its own (`victim.py`); the product knows nothing of it. A stage
whose function is gone is an error: a unit test finds it before a campaign does.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple


class Stage(NamedTuple):
    """A method by module, class (none: a function) and name; struck before it begins or after it has returned.

    `topic`: of the calls only those whose first argument names this role's topic.
    """

    module: str
    owner: str | None
    name: str
    after: bool
    topic: str | None = None


_SHELL: Final = "forestay.shell."
_PIPELINE: Final = (_SHELL + "pipeline", "Pipeline")
_PUBLISHER: Final = (_SHELL + "publisher", "KafkaPublisher")

STAGES: Final = {
    "fetched": Stage(*_PIPELINE, "_batch", after=False),
    "applied": Stage(*_PIPELINE, "_score", after=False),
    "scored": Stage(*_PIPELINE, "_score", after=True),
    "sending": Stage("aiokafka", "AIOKafkaProducer", "send_batch", after=False),
    "sent": Stage("aiokafka", "AIOKafkaProducer", "send_batch", after=True),
    "decisions-durable": Stage(*_PUBLISHER, "publish", after=True, topic="decisions"),
    "before-actions": Stage(*_PUBLISHER, "publish", after=False, topic="actions"),
    "actions-durable": Stage(*_PUBLISHER, "publish", after=True, topic="actions"),
    "letters-durable": Stage(*_PUBLISHER, "publish", after=True, topic="dead_letters"),
    "before-ledger": Stage(*_PUBLISHER, "publish", after=False, topic="ledger"),
    "before-state": Stage(*_PUBLISHER, "publish", after=False, topic="state"),
    "state-durable": Stage(*_PUBLISHER, "publish", after=True, topic="state"),
    "before-offsets": Stage(_SHELL + "transport", "ChunkConsumer", "commit_positions", after=False),
    "offsets-committed": Stage(_SHELL + "transport", "ChunkConsumer", "commit_positions", after=True),
    "fencing": Stage(_SHELL + "fence", "KafkaFence", "take", after=False),
    "recovering": Stage(_SHELL + "engine", None, "recover", after=False),
    "recovered": Stage(_SHELL + "engine", None, "recover", after=True),
    "revoked": Stage(_SHELL + "engine", "Engine", "hand_over", after=False),
    "handed-over": Stage(_SHELL + "engine", "Engine", "hand_over", after=True),
}
#: Stages that need a rebalance; the others come by themselves while events flow.
REBALANCING: Final = ("fencing", "recovering", "recovered", "revoked", "handed-over")
FLOWING: Final = tuple(name for name in STAGES if name not in REBALANCING)


def hook(stage: Stage, topics: dict[str, str], passed: Callable[[], None]) -> None:
    """Calls `passed` whenever the stage is passed.

    Raises:
        AttributeError, ImportError: the product has no such function any more.
    """
    module = importlib.import_module(stage.module)
    owner: Any = getattr(module, stage.owner) if stage.owner else module
    inner: Callable[..., Any] = getattr(owner, stage.name)
    wanted = topics[stage.topic] if stage.topic else None

    async def outer(*args: Any, **kwargs: Any) -> Any:
        # publish(self, topic, partition, records): nothing is passed where there is nothing to write.
        counts = wanted is None or (args[1] == wanted and bool(args[3]))
        if counts and not stage.after:
            passed()
        result = await inner(*args, **kwargs)
        if counts and stage.after:
            passed()
        return result

    setattr(owner, stage.name, outer)
