"""Parts made on a Ray cluster of two nodes are the parts made here, to the byte."""

import importlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.training_sets import WISHES, made, parts, table, write_events
from test_dataset_build import CLICKS, PLAN

from forestay.core.errors import ForestayError
from forestay.dataset import on_ray
from forestay.dataset.on_ray import make_on_ray
from forestay.dataset.part import Job, Made
from forestay.dataset.rows import LeakError

ON_RAY = WISHES._replace(engine=make_on_ray, workers=2)


def test_without_ray_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    events = write_events(tmp_path / "events.jsonl", CLICKS)
    with pytest.raises(ForestayError, match=r"install the extra, pip install 'forestay\[ray\]'"):
        made(events, PLAN, tmp_path / "set", ON_RAY)
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_a_cluster_that_does_not_answer_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    events = write_events(tmp_path / "events.jsonl", CLICKS)
    with pytest.raises(ForestayError, match=f"no Ray cluster answers at RAY_ADDRESS={address}: .*refused"):
        made(events, PLAN, tmp_path / "set", ON_RAY)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes on this machine, a core each."""
    ray: Any = pytest.importorskip("ray", reason="needs the extra 'ray'")
    utilities: Any = importlib.import_module("ray.cluster_utils")
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    nodes = utilities.Cluster(initialize_head=True, connect=True, head_node_args={**node, "include_dashboard": False})
    nodes.add_node(**node)
    nodes.wait_for_nodes()
    yield ray
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.timeout(180)
def test_two_nodes_make_the_same_bytes(cluster: Any, tmp_path: Path) -> None:
    assert len([node for node in cluster.nodes() if node["Alive"]]) == 2
    events = write_events(tmp_path / "events.jsonl", CLICKS)
    made(events, PLAN, tmp_path / "here")
    made(events, PLAN, tmp_path / "there", ON_RAY)
    assert parts(tmp_path / "here") == parts(tmp_path / "there")
    spent = table(tmp_path / "there").column("spend_28d")
    assert 0 < spent.null_count < len(spent)
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("here", "there")]
    assert manifests[0] == manifests[1]


@pytest.mark.timeout(120)
def test_both_nodes_work_at_once(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = tmp_path / "meeting"
    os.mkfifo(meeting)

    def where(job: Job, events: bytes) -> tuple[Made, bytes]:
        """Makes no part, but tells the node that would have; either end of a pipe waits for the other."""
        del events
        meeting.open("rb" if job.number else "wb").close()
        return Made(0, 0), cluster.get_runtime_context().get_node_id().encode()

    monkeypatch.setattr(on_ray, "make_bytes", where)
    (tmp_path / "events").touch()
    jobs = [Job(PLAN, number, 0, {}, tmp_path / "events", tmp_path / f"part-{number}") for number in range(2)]
    assert make_on_ray(jobs, 2, lambda _done: None) == [Made(0, 0)] * 2
    assert len({job.part.read_text() for job in jobs}) == 2


def test_a_leak_found_by_a_task_is_told_as_one_found_here(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cluster

    def leaking(job: Job, events: bytes) -> tuple[Made, bytes]:
        del job, events
        raise LeakError("a row knows what came after it")

    monkeypatch.setattr(on_ray, "make_bytes", leaking)
    with pytest.raises(LeakError, match="a row knows what came after it"):
        made(write_events(tmp_path / "events.jsonl", CLICKS), PLAN, tmp_path / "set", ON_RAY)
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]
