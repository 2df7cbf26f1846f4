"""The checks of `forestay doctor`, each with what to do if it fails."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import grpc
import tritonclient.grpc as triton
from kafka.errors import KafkaError
from tritonclient.utils import InferenceServerException

from forestay import compiled
from forestay.catalogue_file import load_catalogue
from forestay.cli.catalogue_changing import found_in_force
from forestay.cli.errors import explain
from forestay.cli.flags import use_config
from forestay.core.decision.answer import ModelIdentity
from forestay.core.errors import ConfigurationError, ForestayError
from forestay.formats import decoder_of
from forestay.settings import CatalogueSource, Settings, TritonSettings, ValueFormat, config_file, load_settings
from forestay.shell.permissions import Part, check_allowed, needed
from forestay.shell.scorer import identity
from forestay.shell.topics import admin_client, check_all, check_catalogue, deleting, partition_counts
from forestay.shell.triton_clients import advice, client_options
from forestay.trigger_file import load_triggers

#: How long Triton may take for an answer of the doctor's (seconds).
_PATIENCE: Final = 5.0


class Status(StrEnum):
    """How a check went."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Check(NamedTuple):
    """One check; `advice` says what to do where it failed."""

    name: str
    status: Status
    detail: str
    advice: str = ""


class _Failed(Exception):  # noqa: N818 - it never leaves this module
    """A check that fails, with what to do."""

    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.advice = advice


def examine(overrides: dict[str, Any], file: Path | None = None) -> list[Check]:
    """Returns all checks, with `overrides` (from flags) on top of environment and `file` (None: the one in use)."""
    try:
        use_config(file)
        settings = load_settings(**overrides)
    except ForestayError as error:
        mend = "mend the flag, variable or file it names; `forestay config` lists every setting"
        return [Check("settings", Status.FAILED, str(error), mend)]
    used = config_file()
    origin = (
        f"from {used}, environment and flags" if used else "from environment and flags; there is no forestay.yaml"
    )
    return [
        Check("settings", Status.OK, origin),
        Check("core", Status.OK, _core()),
        _check("catalogue", lambda: _catalogue(settings)),
        _check("triggers", lambda: _triggers(settings)),
        _check("values", lambda: _values(settings)),
        *_chain(
            ("kafka", lambda: _kafka(settings)),
            ("permissions", lambda: _permissions(settings)),
            ("topics", lambda: _topics(settings)),
            ("compaction", lambda: _compaction(settings)),
            *([("revision", lambda: _revision(settings))] if _follows(settings) else []),
        ),
        *_chain(
            ("triton", lambda: _triton(settings.triton)),
            ("model", lambda: _model(settings.triton)),
            ("model input", lambda: _input(settings.triton)),
            ("embedding", lambda: _embedding(settings)),
        ),
    ]


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, Status.OK, look())
    except _Failed as failure:
        return Check(name, Status.FAILED, str(failure), failure.advice)


def _chain(*looks: tuple[str, Callable[[], str]]) -> Iterator[Check]:
    """Yields checks of which each needs the one before: after a failure the rest is skipped."""
    failed = ""
    for name, look in looks:
        check = Check(name, Status.SKIPPED, f"needs {failed} first") if failed else _check(name, look)
        if check.status is Status.FAILED:
            failed = name
        yield check


def _core() -> str:
    """Slower is not wrong: a core that is not compiled is told, and fails nothing."""
    form = compiled.form()
    return f"{'plain Python' if form.name == 'plain' else form.name}: {form.reason}"


def _values(settings: Settings) -> str:
    """Says what the clickstream's values are written in, and whether the registry of their schemas is there."""
    if settings.format.clickstream is ValueFormat.JSON:
        return "json"
    name: Literal["avro", "protobuf"] = "avro" if settings.format.clickstream is ValueFormat.AVRO else "protobuf"
    try:
        decoder_of(name)
    except ForestayError as error:
        raise _Failed(str(error), "install the extra") from error
    url = urlsplit(str(settings.format.registry_url))
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    try:
        socket.create_connection((str(url.hostname), port), timeout=_PATIENCE).close()
    except OSError as error:
        other = "start it, or name another with --set format.registry_url=URL"
        raise _Failed(f"no schema registry at {url.hostname}:{port}: {error}", other) from error
    return f"{name}, schemas from {url.hostname}:{port}"


def _triggers(settings: Settings) -> str:
    try:
        names = [trigger.name for trigger in load_triggers(settings.triggers).triggers]
    except ForestayError as error:
        raise _Failed(str(error), "mend the file, or name another with --set triggers=FILE") from error
    return f"{settings.triggers}: {', '.join(names) or 'none'}"


def _catalogue(settings: Settings) -> str:
    try:
        catalogue = load_catalogue(settings.catalogue)
    except ForestayError as error:
        raise _Failed(str(error), "mend the file, or name another with --set catalogue=FILE") from error
    told = f"{settings.catalogue}: {catalogue.name}, {len(catalogue.offers)} offers, version {catalogue.digest()}"
    return f"{told}, until one is pushed" if _follows(settings) else told


def _follows(settings: Settings) -> bool:
    return settings.worker.catalogue_source is CatalogueSource.TOPIC


def _kafka(settings: Settings) -> str:
    try:
        with admin_client(settings.kafka) as admin:
            brokers = admin.describe_cluster()["brokers"]
    except ConfigurationError as error:
        raise _Failed(
            str(error), "mend the setting it names; docs/security.md has an example of each way in"
        ) from error
    except (KafkaError, OSError, ValueError) as error:
        raise _Failed(
            f"{settings.kafka.bootstrap_servers}: {explain(error) or error}",
            "start Kafka (`forestay up` brings a broker to try with), or name it with --bootstrap-servers;"
            " with TLS or a password, see kafka.security_protocol in `forestay config`",
        ) from error
    return f"{settings.kafka.bootstrap_servers} answers, {len(brokers)} broker{'s' * (len(brokers) != 1)}"


def _permissions(settings: Settings) -> str:
    """Says whether the user of these settings may do what a worker does."""
    try:
        check_allowed(settings.kafka, needed(Part.WORKER, settings))
    except (ForestayError, KafkaError) as error:
        give = "have these given to the worker's user; one who only looks needs Describe alone"
        raise _Failed(explain(error) or str(error), give) from error
    return "a worker may do all it must"


def _topics(settings: Settings) -> str:
    try:
        counts = partition_counts(settings.kafka, settings.topics.names)
        check_all(counts, settings.topics)
        if _follows(settings):
            check_catalogue(settings.kafka, settings.topics)
    except (ForestayError, KafkaError) as error:
        raise _Failed(explain(error) or str(error), "run `forestay topics declare`") from error
    there, wanted = counts[settings.topics.clickstream], settings.topics.partitions
    told = f"all {len(counts)} are there with {there} partitions each"
    # No failure: the setting is for topics yet to be made, and its default is anybody's.
    return told if there == wanted else f"{told}; topics.partitions says {wanted}, which changes none that is there"


def _compaction(settings: Settings) -> str:
    """Says whether users' state and the catalogue's revisions stay: a topic made by hand deletes by default."""
    names = [settings.topics.state, *([settings.topics.catalogue] if _follows(settings) else [])]
    wrong = deleting(settings.kafka, names)
    if wrong:
        told = " and ".join(f"{name} has cleanup.policy={policy}" for name, policy in wrong.items())
        alter = " and ".join(
            f"`kafka-configs.sh --alter --topic {name} --add-config cleanup.policy=compact`" for name in wrong
        )
        raise _Failed(f"{told}: what is old will be lost", f"run {alter}")
    return f"nothing old is known to be deleted from {' and '.join(names)}"


def _revision(settings: Settings) -> str:
    """Says what running workers decide by."""
    try:
        catalogue, origin = found_in_force(settings)
    except (ForestayError, KafkaError) as error:
        raise _Failed(explain(error) or str(error), "see `forestay catalogue history`") from error
    return f"{origin}: {catalogue.name}, {len(catalogue.offers)} offers, version {catalogue.digest()}"


@contextlib.contextmanager
def _client(settings: TritonSettings) -> Iterator[triton.InferenceServerClient]:
    try:
        client = triton.InferenceServerClient(**client_options(settings))
    except ConfigurationError as error:
        raise _Failed(str(error), "mend the file or the setting; until then no worker starts") from error
    try:
        yield client
    except (InferenceServerException, grpc.RpcError) as error:
        said = _said(error)
        start = "start Triton (`forestay up` brings one), or name its gRPC address with --triton-url"
        raise _Failed(
            f"{settings.url}: {said}", f"{advice(settings, said) or start}; until then decisions are made by a rule"
        ) from error
    finally:
        client.close()


def _said(error: InferenceServerException | grpc.RpcError) -> str:
    text = error.message() if isinstance(error, InferenceServerException) else str(error)
    return str(text).strip().splitlines()[0] if text else type(error).__name__


def _triton(settings: TritonSettings) -> str:
    with _client(settings) as client:
        if not client.is_server_live(client_timeout=_PATIENCE):
            raise _Failed(f"{settings.url} answers, but is not live", "look at Triton's log, then restart it")
        return f"{settings.url} is live"


def _model(settings: TritonSettings) -> str:
    with _client(settings) as client:
        if not client.is_model_ready(settings.model, client_timeout=_PATIENCE):
            raise _Failed(
                f"{settings.model} is not ready",
                "start Triton with --model-repository=model_repository, or name the model: --set triton.model=NAME",
            )
        return f"{settings.model} is ready"


def _input(settings: TritonSettings) -> str:
    model = _served(settings)
    return f"version {model.version} reads the input this version makes; horizon {model.horizon_days} days"


def _served(settings: TritonSettings) -> ModelIdentity:
    with _client(settings) as client:
        config = client.get_model_config(settings.model, as_json=True, client_timeout=_PATIENCE)
    try:
        return identity(config["config"], settings.model)
    except ForestayError as error:
        raise _Failed(str(error), "serve the model_repository of this version") from error


def _embedding(settings: Settings) -> str:
    """Says whether what reads the model's embedding was fitted to the version served: another's means nothing."""
    version = _served(settings.triton).version
    try:
        catalogue = found_in_force(settings)[0]
    except (ForestayError, KafkaError) as error:
        raise _Failed(explain(error) or str(error), "mend the check of the catalogue first") from error
    posterior, items = catalogue.policy.posterior, catalogue.items
    # A head that no offer shows is none that is read.
    head = items.next_item if items and any(offer.lists_next for offer in catalogue.offers) else None
    readers = {
        "the policy, `forestay policy fit --embedding N`": posterior and posterior.projection,
        "the list next, `forestay items fit --next`": head and head.projection,
    }
    fitted = {reader: projection.version for reader, projection in readers.items() if projection}
    wrong = {reader: other for reader, other in fitted.items() if other != version}
    if wrong:
        told = "; ".join(
            f"{reader.partition(',')[0]} was fitted to version {other}" for reader, other in wrong.items()
        )
        again = " and ".join(reader.partition(", ")[2] for reader in wrong)
        raise _Failed(f"{told}; version {version} is served, and is read as the average user", f"fit again: {again}")
    return f"read by {' and '.join(one.partition(',')[0] for one in fitted) or 'nothing in the catalogue'}"
