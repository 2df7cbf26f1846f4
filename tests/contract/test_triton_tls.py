"""TLS to Triton, on a stand-in for its gRPC service: whom a worker trusts, and what it says where it does not."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.builders import START, click, lived
from support.certificates import Authority, Identity
from support.triton_stand_in import PROBABILITY, standing_in

from forestay.cli import checks
from forestay.core.decision.model_input import model_input
from forestay.core.errors import ConfigurationError
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.settings import TritonSettings
from forestay.shell.scorer import TritonScorer
from forestay.shell.scoring.asked import Question
from forestay.shell.triton_clients import client_options


class Keys(NamedTuple):
    """Who signs, and who is signed by them."""

    authority: Authority
    stranger: Authority
    server: Identity
    elsewhere: Identity
    past: Identity
    client: Identity


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority(folder, "authority")
    return Keys(
        authority,
        Authority(folder, "stranger"),
        authority.issue("server", "127.0.0.1"),
        authority.issue("elsewhere", "triton.example"),
        authority.issue("past", "127.0.0.1", expired=True),
        authority.issue("client"),
    )


def settings(port: int, **over: Any) -> TritonSettings:
    return TritonSettings(url=f"127.0.0.1:{port}", deadline_seconds=5, **over)


async def score(triton: TritonSettings) -> list[float | None]:
    user = lived(click("e1", event="purchase", ts=START, price=5))
    async with TritonScorer(triton) as scorer:
        question = Question("u1", model_input(user, DEFAULT_FEATURES, START))
        return [answer.probability for answer in await scorer.score([question])]


def ours(keys: Keys) -> dict[str, Path]:
    return {"cert_file": keys.client.certificate, "key_file": keys.client.key}


async def test_a_server_signed_by_the_named_authority_answers(keys: Keys) -> None:
    async with standing_in(keys.server) as port:
        assert await score(settings(port, tls=True, ca_file=keys.authority.file)) == [PROBABILITY]


async def test_a_server_that_asks_for_our_certificate_gets_it(keys: Keys) -> None:
    async with standing_in(keys.server, clients=keys.authority) as port:
        assert await score(settings(port, tls=True, ca_file=keys.authority.file, **ours(keys))) == [PROBABILITY]


async def test_a_server_reached_by_another_name_is_known_by_the_one_in_its_certificate(keys: Keys) -> None:
    named = {"server_name": "triton.example"}
    async with standing_in(keys.elsewhere) as port:
        assert await score(settings(port, tls=True, ca_file=keys.authority.file, **named)) == [PROBABILITY]


#: What is set wrong: the server's identity, the client's settings, and what the doctor must say.
MISTAKES: dict[str, tuple[Callable[[Keys], Identity | None], bool, Callable[[Keys], dict[str, Any]], str]] = {
    "wrong CA": (
        lambda keys: keys.server,
        False,
        lambda keys: {"tls": True, "ca_file": keys.stranger.file},
        "triton.ca_file must hold who signed it",
    ),
    "no CA": (lambda keys: keys.server, False, lambda _: {"tls": True}, "triton.ca_file must hold who signed it"),
    "expired certificate": (
        lambda keys: keys.past,
        False,
        lambda keys: {"tls": True, "ca_file": keys.authority.file},
        "its certificate has expired",
    ),
    "other host name": (
        lambda keys: keys.elsewhere,
        False,
        lambda keys: {"tls": True, "ca_file": keys.authority.file},
        "set triton.server_name",
    ),
    "plaintext to a TLS port": (lambda keys: keys.server, False, lambda _: {}, "set triton.tls=true"),
    "TLS to a plaintext port": (
        lambda _: None,
        False,
        lambda keys: {"tls": True, "ca_file": keys.authority.file},
        "set triton.tls=false",
    ),
    "no certificate of ours": (
        lambda keys: keys.server,
        True,
        lambda keys: {"tls": True, "ca_file": keys.authority.file},
        "set triton.cert_file and triton.key_file",
    ),
    "a certificate of ours that nobody trusts": (
        lambda keys: keys.server,
        True,
        lambda keys: {
            "tls": True,
            "ca_file": keys.authority.file,
            **dict(zip(("cert_file", "key_file"), keys.stranger.issue("client"), strict=True)),
        },
        "it must be signed by who Triton trusts",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_mistake_is_told_and_decisions_go_on_without_the_model(
    keys: Keys, mistake: str, caplog: pytest.LogCaptureFixture
) -> None:
    identity, mutual, over, said = MISTAKES[mistake]
    async with standing_in(identity(keys), clients=keys.authority if mutual else None) as port:
        triton = settings(port, **over(keys))
        assert await score(triton) == [None]
        assert said in caplog.text
        check = await asyncio.to_thread(checks._check, "triton", lambda: checks._triton(triton))
    assert check.status is checks.Status.FAILED
    assert said in check.advice


def test_a_file_that_cannot_be_used_is_named(keys: Keys, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(ConfigurationError, match=r"triton.ca_file names .*missing.pem: No such file"):
        client_options(settings(1, tls=True, ca_file=missing))
    with pytest.raises(ConfigurationError, match=r"triton.cert_file names .*missing.pem"):
        client_options(settings(1, tls=True, cert_file=missing, key_file=keys.client.key))
    with pytest.raises(ConfigurationError, match="do not belong together"):
        client_options(
            settings(
                1,
                tls=True,
                ca_file=keys.authority.file,
                cert_file=keys.client.certificate,
                key_file=keys.server.key,
            )
        )
