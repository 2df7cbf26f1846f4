"""The fixture `kafka_server`, and what is said where it cannot be had.

A test module that needs it says `pytest_plugins = ("support.kafka_plugin",)`.
"""

import os
from collections.abc import Iterator

import pytest
from support.java import JavaUnavailableError
from support.kafka import KafkaServer, kafka_jars

_LEFT_OUT: list[str] = []


@pytest.fixture(scope="session")
def kafka_available() -> None:
    """Leaves out tests that need a real Apache Kafka where none can be had."""
    try:
        kafka_jars()
    except JavaUnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(f"the tests on a real Apache Kafka cannot run: {error}")
        _LEFT_OUT.append(str(error))
        pytest.skip(f"NOT TESTED on a real Apache Kafka: {error}")


@pytest.fixture(scope="session")
def kafka_server(kafka_available: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A real Apache Kafka for the whole session: tests use topics and groups of names of their own."""
    del kafka_available
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says at the end, where nobody overlooks it, what was left out."""
    for reason in _LEFT_OUT:
        terminalreporter.section("LEFT OUT: every test on a real Apache Kafka", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{reason}; then run the tests again. With CI set in the environment this is a failure."
        )
