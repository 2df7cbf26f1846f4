"""What the bench knows of the product: the settings it starts the worker with, and the records it reads."""

from pathlib import Path

import pytest

from forestay.core.families.windows import WINDOWS
from forestay.settings import Settings
from forestay_bench.engine import FULL, SAME_JOB, Load, emitted, engine, settings
from forestay_bench.expected import Counted
from forestay_bench.peers import Site
from forestay_bench.windows import FULL_WINDOWS


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site("127.0.0.1:19092", "bench-1", "events", "bench-1-out", tmp_path, 1_000)


@pytest.mark.parametrize("load", [SAME_JOB, FULL], ids=lambda load: load.name)
def test_the_worker_takes_the_settings(load: Load, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings(load, site).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(site.state)
    taken = Settings()
    assert taken.features.emit == tuple(emitted(load))
    assert taken.engine.score_on == frozenset()
    assert (taken.topics.clickstream, taken.topics.features) == ("events", "bench-1-out")
    others = set(taken.topics.names) - {"events"}
    assert all(name.startswith("bench-1-") for name in others)
    assert len(others) == len(taken.topics.names) - 1
    windows = {(w.name, w.bucket_seconds * 1_000, w.buckets) for w in taken.features.windows}
    assert windows == {tuple(window) for window in load.windows}


def test_the_windows_of_the_full_load_are_the_engine_s_own() -> None:
    assert [tuple(window) for window in FULL_WINDOWS] == [tuple(window) for window in WINDOWS]


def test_a_record_is_read_in_the_terms_of_the_recount() -> None:
    features = dict.fromkeys(emitted(SAME_JOB), 0.0) | {"purchase_count_7d": 2.0, "spend_7d": 189_142.37}
    record = {"user_id": "u000001", "ts": 1_772_409_600_123, "features": features}
    none, two = (0, 0, 0, 0, 0), (0, 0, 0, 0, 2)
    assert engine(SAME_JOB).counted(record) == Counted(
        "2026-03-02T00:00:00.123Z",
        {"1h": none, "1d": none, "7d": two},
        {"1h": 0, "1d": 0, "7d": 18_914_237},
    )
