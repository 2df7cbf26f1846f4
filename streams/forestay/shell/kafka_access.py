"""Whether Kafka lets us in, and if not, why: said before a client tries for a while and then says less.

Both clients repeat what fails until their time is up, and then tell that no broker answered. Here one connection is
made as they would make it, and what goes wrong is told apart.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
    for_code,
)
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.transaction import EndTxnRequest

from forestay.access import AccessError, is_loopback
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.tokens import TokenProvider

#: How long a broker may take for one step (milliseconds): a person waits, as in `patient_options`.
_STEP_MS: Final = 10_000
#: How long a broker may take to say goodbye (seconds).
_CLOSING_SECONDS: Final = 1.0
#: How long brokers may take to settle on a coordinator, and between two questions (seconds).
_COORDINATOR_SECONDS: Final = 15.0
_RETRY_SECONDS: Final = 0.2
#: OpenSSL's verdicts on a certificate (X509_V_ERR_...).
_NOT_YET, _EXPIRED = 9, 10
_OTHER_HOST: Final = (62, 64)


def check_access(kafka: KafkaSettings) -> None:
    """Returns if one of the bootstrap servers lets us in, or if none can be reached: then the client says so.

    Raises:
        AccessError: one was reached and does not; says what to do.
        ConfigurationError: a file with a secret or certificate cannot be used.
    """
    options = connection_options(kafka)
    options["request_timeout_ms"] = min(_STEP_MS, options["request_timeout_ms"])
    servers = options.pop("bootstrap_servers")
    # A loop may be running in this thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _check(kafka, servers, options)).result()


def may_join(kafka: KafkaSettings, group: str) -> bool:
    """Says whether a consumer may join `group`: aiokafka's waits for ever where it may not, and says nothing.

    Raises:
        aiokafka.errors.KafkaError: the broker does not tell.
    """
    options = connection_options(kafka)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _may_join(options, group)).result()


def may_write_as(kafka: KafkaSettings, transactional_id: str) -> bool:
    """Says whether `transactional_id` may be used, as far as a broker tells without giving it out.

    Raises:
        aiokafka.errors.KafkaError: the broker does not tell.
    """
    options = connection_options(kafka)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _may_write_as(options, transactional_id)).result()


async def _may_join(options: dict[str, Any], group: str) -> bool:
    """Sends the heartbeat of a member that never was: who may not join is told so, others that it is unknown."""
    try:
        answer = await _ask(options, CoordinationType.GROUP, group, HeartbeatRequest(group, -1, ""))
    except GroupAuthorizationFailedError:
        return False
    return for_code(answer.error_code) is not GroupAuthorizationFailedError


async def _may_write_as(options: dict[str, Any], transactional_id: str) -> bool:
    """Ends a transaction that never was: who may not write is told so, others that there is none."""
    request = EndTxnRequest(transactional_id, -1, -1, False)
    try:
        answer = await _ask(options, CoordinationType.TRANSACTION, transactional_id, request)
    except TransactionalIdAuthorizationFailed:
        return False
    return for_code(answer.error_code) is not TransactionalIdAuthorizationFailed


async def _ask(options: dict[str, Any], kind: CoordinationType, name: str, request: Any) -> Any:
    """Returns what the coordinator of `name` answers.

    It may have to be asked for again: a fresh broker makes its own topics of offsets and transactions at the first
    question, and one that goes down is named until another has its place.
    """
    client = AIOKafkaClient(**options, client_id="forestay-access")
    give_up = time.monotonic() + _COORDINATOR_SECONDS
    try:
        await client.bootstrap()
        while True:
            try:
                node = await client.coordinator_lookup(kind, name)
                return await client.send(node, request, group=ConnectionGroup.COORDINATION)
            except KafkaError as error:
                if not error.retriable or time.monotonic() > give_up:
                    raise
                await client.force_metadata_update()
            await asyncio.sleep(_RETRY_SECONDS)
    finally:
        await client.close()


async def _check(kafka: KafkaSettings, servers: list[str], options: dict[str, Any]) -> None:
    found: AccessError | None = None
    for server in servers:
        host, _, port = server.rpartition(":")
        if not port.isdecimal():
            continue
        door = _Door(kafka, host.strip("[]"), int(port), options)
        try:
            await door.enter()
        except AccessError as error:
            found = found or error
        except (OSError, KafkaError, EOFError):
            continue  # nobody is there, or they have other worries: the client's own words for it will do
        else:
            return
    if found is not None:
        raise found


@asynccontextmanager
async def _connected(host: str, port: int, options: dict[str, Any]) -> AsyncIterator[AIOKafkaConnection]:
    """Opens a connection and sees it closed, which aiokafka leaves to a loop that goes on."""
    connection = AIOKafkaConnection(host, port, **options)
    try:
        await connection.connect()
        yield connection
    finally:
        closed = connection.close()
        if connection._protocol is not None:  # noqa: SLF001 - else there was no connection to close
            await asyncio.wait([closed], timeout=_CLOSING_SECONDS)


class _Door:
    """One broker's port."""

    def __init__(self, kafka: KafkaSettings, host: str, port: int, options: dict[str, Any]) -> None:
        self._kafka = kafka
        self._host, self._port = host, port
        self._options = options
        self._tls = kafka.security_protocol.endswith("SSL")

    async def enter(self) -> None:
        """Connects, logs in and asks for something only those inside are told.

        Raises:
            AccessError: not let in.
            OSError: nobody is there.
            aiokafka.errors.KafkaError: the broker has other reasons.
        """
        try:
            await self._look_inside()
        except ssl.SSLCertVerificationError as error:
            raise self._refused(self._certificate(error)) from error
        except UnsupportedSaslMechanismError as error:
            raise self._refused(await self._mechanism()) from error
        except IllegalSaslStateError as error:
            to = "SSL" if self._tls else "PLAINTEXT"
            raise self._refused(f"asks for no login: set kafka.security_protocol to {to}") from error
        except SaslAuthenticationFailed as error:
            raise self._refused(self._credentials()) from error
        except (KafkaError, ssl.SSLError, ConnectionError, EOFError) as error:
            reason = await self._closed(error)
            if reason is None:
                raise
            raise self._refused(reason) from error

    async def _look_inside(self) -> None:
        provider = self._options.get("sasl_oauth_token_provider")
        if provider is not None:
            return await self._show_token(provider)
        async with _connected(self._host, self._port, self._options) as connection:
            self._check_brokers(await connection.send(MetadataRequest([])))
        return None

    def _check_brokers(self, metadata: Any) -> None:
        """A broker on loopback may send its clients elsewhere, and their passwords with them."""
        kafka = self._kafka
        if kafka.security_protocol != "SASL_PLAINTEXT" or kafka.sasl_plaintext_allowed:
            return
        far = [host for _, host, *_ in metadata.brokers if not is_loopback(host)]
        if far:
            raise self._refused(
                f"sends its clients on to {far[0]}, where anyone on the way could read a password along: use"
                " SASL_SSL, or, where something else encrypts, say so with kafka.sasl_plaintext_allowed=true"
            )

    async def _show_token(self, provider: TokenProvider) -> None:
        """Logs in by a token; aiokafka takes the broker's 'no' to one for the end of the login, and goes on."""
        token = await provider.token()
        async with self._without_login() as connection:
            answer = await connection.send(SaslHandShakeRequest(self._kafka.sasl_mechanism))
            if answer.error_code:
                raise for_code(answer.error_code)
            # RFC 7628, section 3.1.
            answer = await connection.send(SaslAuthenticateRequest(f"n,,\x01auth=Bearer {token}\x01\x01".encode()))
            if answer.error_code or answer.sasl_auth_bytes:
                raise SaslAuthenticationFailed
            self._check_brokers(await connection.send(MetadataRequest([])))

    def _without_login(self) -> AbstractAsyncContextManager[AIOKafkaConnection]:
        options = {name: value for name, value in self._options.items() if not name.startswith("sasl_")}
        return _connected(
            self._host, self._port, options | {"security_protocol": "SSL" if self._tls else "PLAINTEXT"}
        )

    def _refused(self, why: str) -> AccessError:
        return AccessError(f"Kafka at {self._host}:{self._port} {why}")

    def _certificate(self, error: ssl.SSLCertVerificationError) -> str:
        if error.verify_code == _EXPIRED:
            return "shows a certificate that has expired: whoever runs the broker renews it (or is this clock wrong?)"
        if error.verify_code == _NOT_YET:
            return "shows a certificate that is not valid yet: is this machine's clock wrong?"
        if error.verify_code in _OTHER_HOST:
            return (
                f"shows a certificate that is not for {self._host}: name the broker in kafka.bootstrap_servers as its"
                " certificate does, or have this name put into the certificate (subjectAltName)"
            )
        trusted = self._kafka.ssl_cafile or "the system's list: set kafka.ssl_cafile to your authority's file"
        return (
            f"shows a certificate of an authority that is not trusted ({error.verify_message}); trusted is {trusted}."
            " kafka.ssl_cafile must hold the certificate of who signed the broker's"
        )

    def _credentials(self) -> str:
        kafka = self._kafka
        if kafka.sasl_mechanism != "OAUTHBEARER":
            return (
                f"refuses user {kafka.sasl_username} or the password ({kafka.sasl_mechanism}): look at"
                " kafka.sasl_username and kafka.sasl_password_file (or kafka.sasl_password)"
            )
        source = kafka.sasl_token_file or kafka.sasl_token_url
        return (
            f"refuses the token (OAUTHBEARER) from {source}: has it expired, and are audience, issuer and scope those"
            " the broker expects?"
        )

    async def _mechanism(self) -> str:
        """Asks which mechanisms there are: aiokafka keeps the list to itself."""
        async with self._without_login() as connection:
            answer = await connection.send(SaslHandShakeRequest(self._kafka.sasl_mechanism))
        known = ", ".join(sorted(answer.enabled_mechanisms))
        return f"does not know {self._kafka.sasl_mechanism}, but {known}: set kafka.sasl_mechanism to one it knows"

    async def _closed(self, error: BaseException) -> str | None:
        """Returns why the broker closed the connection without a word, None if that is no matter of access."""
        if isinstance(error, ConnectionRefusedError):
            return None
        alert = error if isinstance(error, ssl.SSLError) else error.__cause__
        if isinstance(alert, ssl.SSLError) and "ALERT" in (alert.reason or ""):
            return self._alert(alert)
        speaks_tls = await self._speaks_tls()
        if speaks_tls != self._tls:
            return self._other_protocol(speaks_tls)
        if not isinstance(error.__cause__, EOFError):
            return None
        if "sasl_mechanism" in self._options:
            return self._credentials()
        return (
            "closes the connection: it asks for a login, or is no Kafka broker. Set kafka.security_protocol to"
            f" {'SASL_SSL' if self._tls else 'SASL_PLAINTEXT'}, and kafka.sasl_mechanism, kafka.sasl_username and"
            " kafka.sasl_password_file"
        )

    def _other_protocol(self, speaks_tls: bool) -> str:
        sasl = "SASL_" if self._kafka.security_protocol.startswith("SASL") else ""
        if speaks_tls:
            return (
                f"speaks TLS: set kafka.security_protocol to {sasl}SSL, and kafka.ssl_cafile to the certificate of"
                " who signed the broker's"
            )
        return f"does not speak TLS: name its TLS port, or set kafka.security_protocol to {sasl}PLAINTEXT"

    def _alert(self, alert: ssl.SSLError) -> str:
        said = (alert.reason or "").rpartition("ALERT_")[2].lower().replace("_", " ")
        if self._kafka.ssl_certfile is None:
            return (
                f"ends the TLS handshake ({said}): it asks for a certificate of ours. Set kafka.ssl_certfile and"
                " kafka.ssl_keyfile"
            )
        return (
            f"refuses our certificate ({said}), {self._kafka.ssl_certfile}: it must be signed by an authority the"
            " broker trusts, and not have expired"
        )

    async def _speaks_tls(self) -> bool:
        """Says whether TLS is spoken here; nothing is sent but the handshake, so nobody need be trusted for it."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            async with asyncio.timeout(self._options["request_timeout_ms"] / 1000):
                _, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
        except ssl.SSLError as error:
            return "ALERT" in (error.reason or "")
        except (OSError, EOFError):
            return False
        writer.transport.abort()
        return True
