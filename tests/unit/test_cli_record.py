"""What `forestay record` says to a person, where no broker is needed to say it."""

from pathlib import Path

import pytest

from forestay.cli.recording import Request, outcome, report_lines
from forestay.cli.recording import run as run_request
from forestay.core.errors import ConfigurationError
from forestay.recorder.recorder import Report
from forestay.settings import Settings

REPORT = Report(
    records=1_500,
    bytes=9_000,
    seconds=0.5,
    resumed=True,
    halted=True,
    gone={("clicks", 1): 20},
    positions={("clicks", 0): 7, ("clicks", 1): 900},
    files={"part-000003.parquet": "sha256:00"},
)


def test_the_report_says_how_much_how_fast_what_is_gone_and_how_to_go_on() -> None:
    assert list(report_lines(Path("archive"), REPORT)) == [
        "1,500 records more in archive: 1 file, 9,000 bytes, 0.5 s (3,000/s)",
        "20 offsets of clicks-1 were deleted before they could be recorded",
        "stopped; the same command goes on from here",
    ]


def test_machines_get_where_each_partition_goes_on() -> None:
    told = outcome(Path("archive"), REPORT)
    assert told["next_offsets"] == {"clicks": {"0": 7, "1": 900}}
    assert told["gone"] == {"clicks": {"1": 20}}
    assert told["files"] == {"part-000003.parquet": "sha256:00"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"start": "tomorrow"}, "--from tomorrow: write earliest, latest, an offset, or a time such as"),
        ({"until": "latest"}, "--until latest: write now, an offset, or a time such as"),
        ({"patterns": ["["]}, r"--pattern \[: is no regular expression"),
    ],
)
def test_what_makes_no_sense_is_said_before_a_broker_is_asked(changed: dict[str, str], said: str) -> None:
    request = Request(Path("f"), ["clickstream"], [], "earliest", "now", None, skip_gaps=False, form="parquet")
    with pytest.raises(ConfigurationError, match=said):
        run_request(Settings(), request._replace(**changed))  # type: ignore[arg-type]
