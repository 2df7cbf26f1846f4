"""Settings of features, triggers and memory: what they become in the core, and what cannot work."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from forestay.core.errors import ConfigurationError
from forestay.core.event import EVENT_CODES
from forestay.core.feature_set import DEFAULT_FEATURES, FAMILY_NAMES, FEATURE_DIGEST
from forestay.core.patterns.patterns import PatternRules
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR
from forestay.settings import EngineSettings, FeatureSettings, Settings, load_settings

DEFAULT_WINDOWS = [window.model_dump() for window in FeatureSettings().windows]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORESTAY_CONFIG", raising=False)


def test_the_defaults_are_the_cores_own() -> None:
    settings = Settings()
    patterns = PatternRules([])
    rules = settings.engine.rules(settings.features, patterns)
    assert rules.features.digest == FEATURE_DIGEST
    assert rules._replace(features=DEFAULT_FEATURES, patterns=patterns) == Rules(patterns=patterns)


def test_times_become_milliseconds_and_names_become_codes() -> None:
    engine = EngineSettings(lateness_hours=0.5, idle_days=200, live_users=7, deduplicate=False, score_on={"purchase"})
    features = FeatureSettings(emit_on={"purchase", "refund"}, emit=("spend_30d", "cart_value"))
    rules = engine.rules(features, PatternRules([]))
    assert (rules.lateness, rules.idle, rules.live_users, rules.deduplicate) == (HOUR // 2, 200 * DAY, 7, False)
    assert rules.score_on == {EVENT_CODES["purchase"]}
    assert rules.feature_stream == (frozenset({EVENT_CODES["purchase"], EVENT_CODES["refund"]}), features.emit)


def test_families_that_are_off_have_no_features_and_keep_the_order_of_the_rest() -> None:
    kept = FeatureSettings(families=("lifetime", "windows")).feature_set()
    assert [family.name for family in kept.families] == ["windows", "lifetime"]
    assert list(kept.names) == [name for name in DEFAULT_FEATURES.names if name in set(kept.names)]
    assert not kept.complete
    assert kept.digest != FEATURE_DIGEST
    assert FeatureSettings(families=tuple(reversed(FAMILY_NAMES))).feature_set().complete


def test_a_window_of_ones_own_has_features_of_its_name() -> None:
    windows = (*DEFAULT_WINDOWS[:2], {"name": "2h", "bucket_seconds": 300, "buckets": 24}, *DEFAULT_WINDOWS[2:])
    kept = FeatureSettings(windows=windows).feature_set()
    added = set(kept.names) - set(DEFAULT_FEATURES.names)
    assert {"purchase_count_2h", "spend_2h", "distinct_items_2h"} < added
    assert all(name.endswith("_2h") for name in added)
    assert not kept.complete


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"families": ["windows", "vibes"]}, "families: vibes is none of windows, distinct"),
        ({"windows": []}, "at least 1 item"),
        ({"windows": [DEFAULT_WINDOWS[0], DEFAULT_WINDOWS[0]]}, "two windows have the same name"),
        ({"windows": [DEFAULT_WINDOWS[0] | {"name": "5 m"}]}, "should match pattern"),
        ({"windows": [DEFAULT_WINDOWS[0] | {"buckets": 0}]}, "greater than or equal to 1"),
        ({"windows": [DEFAULT_WINDOWS[0] | {"bucket_seconds": 0.5}]}, "valid integer"),
        ({"emit": ["spend_total", "charm"]}, "no feature charm is kept: see `forestay features --list`"),
        ({"emit": ["spend_total"], "families": ["windows"]}, "no feature spend_total is kept"),
        ({"emit_on": ["sneeze"]}, "emit_on"),
    ],
)
def test_what_cannot_work_is_refused_with_a_reason(features: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match="the settings cannot work") as caught:
        load_settings(features=features, engine={"score_on": []})
    assert said in str(caught.value)


@pytest.mark.parametrize("features", [{"families": ["windows", "sessions"]}, {"windows": DEFAULT_WINDOWS[:4]}])
def test_scoring_needs_all_features_and_without_it_some_do(features: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"set engine\.score_on to \[\]"):
        load_settings(features=features)
    assert not load_settings(features=features, engine={"score_on": []}).features.feature_set().complete


@pytest.mark.parametrize(
    "engine",
    [
        *({"lateness_hours": hours} for hours in (0, -1, 721)),
        # A user must outlive the longest silence.
        *({"idle_days": days} for days in (0, 180, 36_501)),
        {"live_users": 0},
    ],
)
def test_bounds_of_the_engines_memory(engine: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        EngineSettings.model_validate(engine)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(
            {"name": "10m", "bucket_seconds": 50, "buckets": 12}, id="reaches no further than the hour before it"
        ),
        pytest.param({"name": "2h", "bucket_seconds": 450, "buckets": 16}, id="a bucket that is no multiple"),
    ],
)
def test_windows_stand_from_short_to_long(odd: dict[str, object]) -> None:
    windows = (*DEFAULT_WINDOWS[:2], odd)
    with pytest.raises(ValidationError, match="from short to long"):
        FeatureSettings.model_validate({"windows": windows})


# -- names that are no settings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"engine": {"lateness": 3}}, "engine.lateness: no such setting; is engine.lateness_hours meant?"),
        ({"engin": {"lateness_hours": 3}}, "engin: no such setting; is engine.lateness_hours meant?"),
        ({"worker": {"group_id": "a"}}, "worker.group_id: no such setting; is kafka.group_id meant?"),
        ({"adapter": {"batch_record": 1}}, "adapter.batch_record: no such setting; is adapter.batch_records meant?"),
        ({"worker": {"batch_record": 1}}, "worker.batch_record: no such setting; is worker.batch_records meant?"),
        ({"lateness_hours": 3}, "lateness_hours: no such setting; is engine.lateness_hours meant?"),
        ({"zzz": {"q": 1}}, "zzz: no such setting; `forestay config` prints all"),
    ],
)
def test_an_unknown_setting_is_told_with_what_is_meant(overrides: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as from_flags:
        load_settings(**overrides)
    assert str(from_flags.value).splitlines()[1:] == [f"  {said}"]
    (tmp_path / "forestay.yaml").write_text(json.dumps(overrides))
    with pytest.raises(ConfigurationError) as from_file:
        load_settings()
    assert str(from_file.value) == str(from_flags.value)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("FORESTAY_ENGINE__LATENESS", "engine.lateness: no such setting; is engine.lateness_hours meant?"),
        (
            "FORESTAY_ENGIN__LATENESS",
            "FORESTAY_ENGIN__LATENESS is no setting: is FORESTAY_ENGINE__LATENESS_HOURS meant?",
        ),
        ("FORESTAY_KAFKA_GROUP_ID", "is FORESTAY_KAFKA__GROUP_ID meant?"),
        ("FORESTAY_ZZ", "FORESTAY_ZZ is no setting: `forestay config` prints all"),
    ],
)
def test_an_unknown_variable_is_told_with_what_is_meant(
    variable: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "3")
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert said in str(error.value)
