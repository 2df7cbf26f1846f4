"""The main job from end to end: start, replay, stop, books, summary, report."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from forestay import compiled
from forestay.catalogue_file import load_catalogue
from forestay.core.errors import ForestayError
from forestay.demo.books import Evidence, keep_books
from forestay.demo.harvest import Harvest
from forestay.demo.meter import Meter, Sample
from forestay.demo.metrics import model_metrics
from forestay.demo.model import served_model
from forestay.demo.play import Pacing, Played, Player
from forestay.demo.report import Material, write_report
from forestay.demo.screen import Screen
from forestay.demo.settings import settings_from
from forestay.demo.shop import Shop, open_shop
from forestay.demo.stack import Plan, Stack, merged, running
from forestay.demo.summary import Course, ModelFacts, Summary, summarise
from forestay.demo.watcher import Watcher, read_times
from forestay.embedded.errors import ProcessFailedError
from forestay.embedded.process import describe_status
from forestay.settings import Settings
from forestay.shell.topics import end_offsets

#: What a run writes at its end; an earlier run's must not be taken for this one's.
_WRITTEN = ("report.html", "summary.json")
#: How long the watcher may take to read the rest of the output topics (seconds).
_READ_WITHIN = 60.0


class Options(NamedTuple):
    """What to run; `overrides` are settings from flags, nested."""

    out: Path
    recording: Path
    model_repository: Path
    events: int | None
    pacing: Pacing
    overrides: Mapping[str, Any]


class Interrupted(ForestayError):  # noqa: N818 - it is what happened, not a fault
    """The run was cancelled; `sample` is how far it was, None if nothing had been sent."""

    def __init__(self, sample: Sample | None) -> None:
        """Keeps how far the run was."""
        super().__init__("interrupted")
        self.sample = sample


async def run(options: Options, screen: Screen) -> Summary:
    """Runs the demonstration; nothing it started is left when this returns or raises.

    Raises:
        ForestayError: a part could not start, ended by itself, or the output topics cannot be read.
        Interrupted: the task was cancelled.
    """
    began = time.monotonic()
    shop = await asyncio.to_thread(open_shop, options.recording, options.events)
    for name in _WRITTEN:
        (options.out / name).unlink(missing_ok=True)

    def settings(local: Mapping[str, Any]) -> Settings:
        return settings_from(merged(options.overrides, local))

    plan = Plan(options.out, options.model_repository, settings)
    async with running(plan, screen.say) as stack:
        model = await asyncio.to_thread(served_model, stack.settings.triton)
        harvest = Harvest(stack.settings.topics)
        partitions = stack.settings.topics.partitions
        with (
            Watcher(stack.settings.kafka, harvest, partitions) as watcher,
            Meter(stack.settings, partitions, harvest) as meter,
        ):
            demo = _Demo(options, screen, shop, stack, watcher, meter, harvest, model)
            return await demo.run(began)


class _Demo(NamedTuple):
    """One run, with everything up."""

    options: Options
    screen: Screen
    shop: Shop
    stack: Stack
    watcher: Watcher
    meter: Meter
    harvest: Harvest
    model: ModelFacts | None

    async def run(self, began: float) -> Summary:
        player = Player(self.stack.settings, self.shop, self.meter, self.screen, self.options.pacing)
        try:
            played = await self.stack.guard(player.play())
            self.screen.say("stopping the worker")
            stages = await self._stop_worker()
            self.screen.say("reading the books")
            evidence, sent = await asyncio.to_thread(self._read_rest, played)
        except asyncio.CancelledError:
            raise Interrupted(await self._farewell()) from None
        course = self._course(played, sent, stages, time.monotonic() - began)
        books = keep_books(evidence)
        summary = summarise(course, self.harvest, books)
        self.screen.say("writing the report")
        (self.options.out / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)))
        catalogue = load_catalogue(self.stack.settings.catalogue)
        metrics = model_metrics(self.options.model_repository / self.stack.settings.triton.model)
        material = Material(summary, course, self.harvest, self.meter.samples, catalogue, metrics)
        await asyncio.to_thread(write_report, Path(course.report), material)
        return summary

    async def _stop_worker(self) -> str:
        """Stops the worker in order and returns its line of stage timings."""
        worker = self.stack.worker
        await worker.stop()
        if worker.returncode != 0:
            status = describe_status(worker.returncode or 0)
            raise ProcessFailedError(
                f"the worker ended with status {status} when it was told to stop. The end of its log,"
                f" {worker.command.log}:\n{worker.log_tail()}"
            )
        said = worker.command.log.read_text(errors="replace")
        return next((rest for line in said.splitlines() if (rest := line.partition("stopped after ")[2])), "")

    async def _farewell(self) -> Sample | None:
        """Stops the worker in order, so that what it did is durable, and says how far it was."""
        self.screen.say("stopping: the worker makes durable what it has done")
        if not self.meter.samples:
            return None
        await self.stack.worker.stop()
        return await asyncio.to_thread(self.meter.sample)

    def _read_rest(self, played: Played) -> tuple[Evidence, dict[tuple[int, int], int]]:
        topics = self.stack.settings.topics
        ends = end_offsets(self.stack.settings.kafka, dict.fromkeys(topics.names, topics.partitions))
        self.watcher.read_to({name: ends[name] for name in self.harvest.topics}, _READ_WITHIN)
        times = read_times(self.stack.settings.kafka, topics.clickstream, played.steady_first, played.steady_ends)
        states, marks = self.harvest.states()
        evidence = Evidence(
            sent=played.sent,
            clickstream=topics.clickstream,
            clock_topic=topics.clock,
            source=ends[topics.clickstream],
            clock=ends[topics.clock],
            log=ends[topics.decisions],
            states=states,
            marks=marks,
            dead_letters=self.harvest.dead_letters,
            decisions=self.harvest.decisions,
            actions=self.harvest.actions,
            unreadable=self.harvest.unreadable,
            broken=self.shop.broken,
            repeats=self.shop.repeats,
        )
        return evidence, times

    def _course(self, played: Played, sent: dict[tuple[int, int], int], stages: str, seconds: float) -> Course:
        form = compiled.form()
        return Course(
            recording=self.shop.facts(),
            model=self.model,
            training=self.shop.split(self.model),
            fast=played.fast,
            steady=played.steady,
            sent=sent,
            clickstream=self.stack.settings.topics.clickstream,
            currency=self.stack.settings.engine.currency or "",
            seconds=seconds,
            core=f"{form.title}: {form.reason}",
            deadline_seconds=self.stack.settings.triton.deadline_seconds,
            worker_stages=stages,
            report=str(self.options.out / "report.html"),
        )
