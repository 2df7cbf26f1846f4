"""The page `/metrics`, made when it is asked for: nothing is counted for it twice.

Names and units follow Prometheus' practice (prometheus.io/docs/practices/naming): base units, `_total` for what only
grows, one name for one thing, labels for its kinds.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from forestay import compiled
from forestay.shell.catalogues import Following
from forestay.shell.observing.drift_metrics import drift_metrics
from forestay.shell.observing.histogram import Histogram
from forestay.shell.observing.observer import Observer
from forestay.shell.sighting import Watch
from forestay.shell.timings import Timings
from forestay.shell.web import Text

_PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"


class Exposition(Collector):
    """All that a worker counts, in the words of Prometheus."""

    def __init__(
        self, timings: Timings, observer: Observer, health: Watch, following: Following | None = None
    ) -> None:
        """Each is read when the page is asked for."""
        self._following = following
        self._timings = timings
        self._observer = observer
        self._health = health
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def describe(self) -> Iterator[Metric]:
        """Describes nothing beforehand: what there is, is known when it is asked for."""
        yield from ()

    def page(self) -> Text:
        """Returns the page."""
        return Text(exposition.generate_latest(self._registry), _PLAIN)

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics but those of the process."""
        yield InfoMetricFamily(
            "forestay", "The version that runs", {"version": version("forestay"), "core": compiled.form().name}
        )
        yield from self._counts()
        yield from self._times()
        yield from self._sight()
        if self._following is not None:
            yield from _catalogue(self._following)
        watch = self._observer.watch
        if watch is not None or self._observer.watch_ended:
            said = "1 while drift is watched, 0 once an error has ended that"
            yield GaugeMetricFamily("forestay_watch", said, value=watch is not None)
        if watch is not None:
            yield from drift_metrics(watch)

    def _counts(self) -> Iterator[Metric]:
        observer = self._observer
        records = CounterMetricFamily("forestay_records", "Records applied")
        records.add_metric([], self._timings.counts["records"])
        yield records
        decisions = CounterMetricFamily("forestay_decisions", "Decisions made durable", labels=["trigger", "rung"])
        for (trigger, rung), count in sorted(observer.decisions.items()):
            decisions.add_metric([trigger, rung], count)
        yield decisions
        yield _counter("forestay_actions", "Actions made durable", "kind", observer.actions)
        yield _counter("forestay_dead_letters", "Records that failed", "reason", observer.dead_letters)
        paused = GaugeMetricFamily(
            "forestay_automatic_pause", "1 while feedback has stopped it", labels=["partition", "of"]
        )
        for number, subjects in sorted(observer.paused.items()):
            for subject in subjects:
                paused.add_metric([str(number), subject], 1)
        yield paused

    def _times(self) -> Iterator[Metric]:
        stages = HistogramMetricFamily("forestay_stage_seconds", "Seconds a stage of a batch took", labels=["stage"])
        for name, runs in sorted(self._timings.runs.items()):
            _add(stages, [name], runs)
        yield stages
        ages = HistogramMetricFamily(
            "forestay_record_age_seconds", "Age of a batch's oldest record once all it led to is durable"
        )
        _add(ages, [], self._observer.ages)
        yield ages

    def _sight(self) -> Iterator[Metric]:
        live, ready = self._health.live().yes, self._health.ready().yes
        yield GaugeMetricFamily("forestay_live", "1 unless a restart would help", value=live)
        yield GaugeMetricFamily("forestay_ready", "1 with partitions restored and at work", value=ready)
        lag = GaugeMetricFamily("forestay_lag_records", "Offsets not applied yet", labels=["topic", "partition"])
        for number, one in sorted(self._health.sight().partitions.items()):
            for topic, seen in one.topics.items():
                if seen.lag is not None:
                    lag.add_metric([topic, str(number)], seen.lag)
        yield lag


def _catalogue(following: Following) -> Iterator[Metric]:
    version = following.current.catalogue.digest()
    yield InfoMetricFamily("forestay_catalogue", "The catalogue that new batches run under", {"version": version})
    yield GaugeMetricFamily(
        "forestay_catalogue_revision", "Newest revision on the topic, worked with or not", value=following.revision
    )
    yield GaugeMetricFamily(
        "forestay_catalogue_followed", "1 unless the topic cannot be read", value=not following.blind
    )
    refused = CounterMetricFamily("forestay_catalogue_refused", "Records of the topic that are not worked with")
    refused.add_metric([], following.refused)
    yield refused


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family


def _add(family: Any, labels: list[str], histogram: Histogram) -> None:
    family.add_metric(labels, histogram.cumulative(), histogram.sum)
