"""What the watch knows, in the words of Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from forestay.core.watch.findings import Finding, Judged
from forestay.shell.observing.stream_watch import StreamWatch


def drift_metrics(watch: StreamWatch) -> Iterator[Metric]:
    """Yields the findings of now; what there is too little of to tell is left out."""
    judged = watch.look()
    yield from _drift(judged.findings)
    yield from _fields(judged.findings)
    yield from _returns(judged)
    on = watch.alarms
    alarm = GaugeMetricFamily("forestay_alarm", "1 while it is an alarm", labels=["watch", "of"])
    for one in judged.findings:
        alarm.add_metric([one.watch, one.of], one in on)
    yield alarm
    begun = CounterMetricFamily("forestay_alarms", "Alarms that have begun", labels=["watch", "of"])
    for (name, of), count in sorted(watch.begun.items()):
        begun.add_metric([name, of], count)
    yield begun
    reference = watch.reference
    users = GaugeMetricFamily("forestay_reference_users", "Users of the reference, 0 without one", labels=["moments"])
    users.add_metric(["none" if reference is None else reference.moments], reference.users if reference else 0)
    yield users


def _drift(findings: list[Finding]) -> Iterator[Metric]:
    value = GaugeMetricFamily("forestay_drift_psi", "Population stability index of a day", labels=["column"])
    limit = GaugeMetricFamily("forestay_drift_psi_limit", "Above it the index is an alarm", labels=["column"])
    rows = GaugeMetricFamily("forestay_drift_users", "Users behind the index", labels=["column"])
    for one in findings:
        if one.watch == "psi":
            rows.add_metric([one.of], one.rows)
            if one.value is not None and one.limit is not None:
                value.add_metric([one.of], one.value)
                limit.add_metric([one.of], one.limit)
    yield from (value, limit, rows)


def _fields(findings: list[Finding]) -> Iterator[Metric]:
    labels = ["field", "trouble"]
    share = GaugeMetricFamily("forestay_field_ratio", "Events of five minutes with a field's trouble", labels=labels)
    usual = GaugeMetricFamily("forestay_field_usual_ratio", "What is usual of that", labels=labels)
    for one in findings:
        if one.watch in {"missing", "repeated"} and one.rows and one.value is not None:
            share.add_metric([one.of, one.watch], one.value)
            if one.usual is not None:
                usual.add_metric([one.of, one.watch], one.usual)
    yield from (share, usual)


def _returns(judged: Judged) -> Iterator[Metric]:
    windows = judged.returns
    told = {
        "forestay_returns_windows": ("Users whose 24 hours after a score ended in the last day", windows.closed),
        "forestay_returns_expected": ("How many of them were expected to order", windows.expected),
        "forestay_returns_observed": ("How many of them ordered", windows.observed),
        "forestay_returns_deviations": ("Standard deviations more than expected", windows.deviations),
        "forestay_expected_auc": ("AUC of the day's answers if they are calibrated", judged.expected_auc),
        "forestay_expected_brier": ("Brier score of the day's answers if they are calibrated", judged.expected_brier),
    }
    for name, (text, value) in told.items():
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)
