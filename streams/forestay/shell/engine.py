"""The partitions of one worker: taken over on assignment, handed over on revocation, fed with chunks."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from faust.types import TP

from forestay import compiled
from forestay.access import AccessError
from forestay.configuration import Configuration
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay.core.ledger import Found, users_digest
from forestay.core.partition import Partition
from forestay.settings import Settings
from forestay.shell.fence import Fence
from forestay.shell.pipeline import Outside, Pipeline
from forestay.shell.producer_ids import FencedError, FenceError
from forestay.shell.recovery.keeping import Ends, as_left
from forestay.shell.recovery.progress import RecoveryProgress
from forestay.shell.recovery.recover import Recovered, recover
from forestay.shell.recovery.written_actions import written_actions
from forestay.shell.transport import Chunk

logger = logging.getLogger(__name__)


class HandoverError(ForestayError):
    """A partition's last barrier did not end in time; a successor makes its batches again."""


class Engine:
    """Runs a pipeline for each partition this worker owns."""

    def __init__(
        self,
        settings: Settings,
        configuration: Configuration,
        outside: Outside,
        on_failure: Callable[[BaseException], None],
        fence: Fence,
    ) -> None:
        """`on_failure` is called once with what stopped a pipeline; the worker must then stop."""
        self._settings = settings
        self._configuration = configuration
        self._outside = outside
        self._on_failure = on_failure
        self._fence = fence
        self.progress = RecoveryProgress()
        self._pipelines: dict[int, Pipeline] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        #: Handed over with all of their state durable; some may come back.
        self._kept: dict[int, Pipeline] = {}
        self._failed = False
        self._handovers = 0
        self._claiming = asyncio.Lock()
        self._restoring: asyncio.Task[Any] | None = None

    @property
    def pipelines(self) -> Mapping[int, Pipeline]:
        """Returns the pipelines at work, by partition."""
        return self._pipelines

    async def take_over(self, partitions: Iterable[int], generation: int) -> None:
        """Shuts former owners out, restores the partitions' state and begins to work on them.

        If partitions are handed over meanwhile, what was read is from before other owners' work: nothing
        begins, and the assignment that follows takes over anew.
        """
        handovers = self._handovers
        numbers = sorted(set(partitions) - self._pipelines.keys())
        # What others have now is forgotten.
        kept, self._kept = {number: one for number, one in self._kept.items() if number in numbers}, {}
        # What a former owner wrote before it was shut out is read; it writes nothing after that.
        try:
            async with self._claiming:
                await self._fence.take(numbers)
        except (FenceError, FencedError):
            if handovers != self._handovers:
                return
            raise
        if handovers != self._handovers:
            # Handed over while the claim was under way: there was no reading yet to be told to end.
            return
        self._restoring = asyncio.create_task(self._restore(numbers, kept))
        try:
            left, recovered, written = await self._restoring
        except (asyncio.CancelledError, ForestayError):
            # What is wrong with it may be that its new owner writes: it is no longer ours to judge.
            if handovers != self._handovers:
                return
            raise
        if handovers != self._handovers:
            return
        for number, ends in left.items():
            kept[number].again(ends)
            self._run(kept[number])
        for number, one in recovered.items():
            self._run(self._restored(number, one, written.get(number, frozenset()), generation))
        logger.info("worker ready: partitions %s, %s core", sorted(self._pipelines), compiled.form().title)

    async def keep_fence(self, interval: float) -> None:
        """Renews the fence every `interval` seconds; ends when it is found broken, which is a failure."""
        while True:
            await asyncio.sleep(interval)
            handovers = self._handovers
            try:
                await self._fence.renew(list(self._pipelines))
            except FenceError as error:
                logger.warning("%s; tried again in %g s", error, interval)
            except (FencedError, AccessError) as error:
                if handovers == self._handovers:
                    return self._fail(error)

    async def _restore(
        self, numbers: list[int], kept: Mapping[int, Pipeline]
    ) -> tuple[dict[int, Ends], dict[int, Recovered], dict[int, frozenset[str]]]:
        """Returns which partitions go on as they were left, what was read of the others, and their actions."""
        kafka, topics = self._settings.kafka, self._settings.topics
        if self._outside.following is not None:
            await self._outside.following.catch_up()
        left = await as_left(kafka, {number: one.ends for number, one in kept.items()})
        missing = [number for number in numbers if number not in left]
        recovered = await recover(kafka, topics, missing, self.progress) if missing else {}
        return left, recovered, await self._written(recovered)

    async def _written(self, recovered: Mapping[int, Recovered]) -> dict[int, frozenset[str]]:
        """Returns which restored actions are there; behind a fence alone is that all that will ever be."""
        kafka, topics = self._settings.kafka, self._settings.topics
        acting = {
            number: one.mark.decisions
            for number, one in recovered.items()
            if any(decision.action_id is not None for decision in one.made)
        }
        return await written_actions(kafka, topics, acting) if kafka.fenced else {}

    def _restored(self, number: int, recovered: Recovered, written: frozenset[str], generation: int) -> Pipeline:
        following = self._outside.following
        configuration = self._configuration if following is None else following.current
        core = Partition(
            number,
            self._settings.topics.sources,
            configuration.rules,
            configuration.catalogue,
            self._outside.decoder,
            self._outside.placement.partition,
            self._outside.placement.partitions,
        )
        found = Found(users_digest(recovered.users), range(recovered.mark.decisions, recovered.decisions_end))
        restored = core.restore(recovered.users, recovered.mark, recovered.made, self._earlier(recovered))
        restored = restored._replace(actions=[one for one in restored.actions if one.action_id not in written])
        return Pipeline(
            core,
            restored,
            found,
            generation,
            self._outside,
            opening=recovered.opening,
            ends=recovered.ends,
        )

    def _earlier(self, recovered: Recovered) -> dict[str, Catalogue]:
        """Returns the catalogues under which the later decisions were made, as far as the topic or the file has them.

        Who follows no topic knows one catalogue.
        """
        following = self._outside.following
        if following is None:
            return {}
        of_file = self._configuration.catalogue
        versions = {decision.policy.version for decision in recovered.made}
        found = {version: following.catalogue(version) for version in versions} | {of_file.digest(): of_file}
        return {version: catalogue for version, catalogue in found.items() if catalogue is not None}

    def _run(self, pipeline: Pipeline) -> None:
        number = pipeline.core.number
        self._pipelines[number] = pipeline
        task = asyncio.create_task(pipeline.run(), name=f"partition-{number}")
        task.add_done_callback(self._ended)
        self._tasks[number] = task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._failed:
            self._failed = True
            self._on_failure(error)

    async def hand_over(self, deadline: float) -> None:
        """Ends work on all partitions: the batch in work and its barrier are finished, the rest is left.

        Raises:
            HandoverError: not within `deadline` seconds.
        """
        self._handovers += 1
        if self._restoring is not None:
            # What it reads is no longer ours, and whoever has it writes by now.
            self._restoring.cancel()
        await self._finish_claim(deadline)
        pipelines, self._pipelines = self._pipelines, {}
        tasks, self._tasks = self._tasks, {}
        if self._outside.observer is not None:
            self._outside.observer.paused = {}
        if not tasks:
            return
        for pipeline in pipelines.values():
            pipeline.stop()
        done, late = await asyncio.wait(tasks.values(), timeout=deadline)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
            names = ", ".join(sorted(task.get_name() for task in late))
            raise HandoverError(f"{names}: no durable barrier within {deadline:g} s; left to be made again")
        if not any(task.exception() for task in done):
            self._kept = pipelines

    async def _finish_claim(self, deadline: float) -> None:
        """Lets a claim under way end: later it would shut out whoever has the partitions by then."""
        try:
            async with asyncio.timeout(deadline), self._claiming:
                pass
        except TimeoutError as error:
            raise HandoverError(f"Kafka has not answered a claim of partitions within {deadline:g} s") from error

    def start_positions(self, assigned: Iterable[TP]) -> dict[TP, int]:
        """Returns where reading begins: the end of what is durable, or the beginning of the topic."""
        return {
            tp: self._pipelines[tp.partition].core.positions.get(tp.topic, 0)
            for tp in assigned
            if tp.partition in self._pipelines
        }

    async def deliver(self, chunk: Chunk) -> None:
        """Gives a chunk to its partition; a chunk of a partition no longer owned is dropped."""
        pipeline = self._pipelines.get(chunk.partition)
        if pipeline is not None:
            await pipeline.put(chunk)
