"""The fixture `broker`: the real Apache Kafka that lets nobody in unasked, one for all modules.

A test module that needs it says `pytest_plugins = ("support.kafka_plugin", "support.secure_kafka_plugin")`.
"""

import gc
from collections.abc import Iterator

import pytest
from support.secure_kafka import SecureKafka


@pytest.fixture(scope="session")
def broker(kafka_available: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """Tests use topics and groups of names of their own."""
    del kafka_available
    with SecureKafka(tmp_path_factory.mktemp("secure-kafka")) as server:
        yield server


@pytest.fixture(scope="module")
def clients_collected() -> Iterator[None]:
    """Collects what kafka-python left open, now and not in a test that has nothing to do with it."""
    yield
    gc.collect()
