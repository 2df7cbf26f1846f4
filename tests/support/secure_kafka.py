"""A real Apache Kafka that lets nobody in unasked: TLS, mutual TLS, every SASL mechanism, and an authorizer.

One broker has a port for each way in. Who comes by the plain port is the administrator of the tests; everybody else
may do what an ACL allows.
"""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)
from support.certificates import Authority, Identity
from support.java import JavaFailedError, free_ports
from support.kafka import (
    _CLUSTER_ID,
    _READY_SECONDS,
    _STORAGE_TOOL,
    KafkaServer,
    _java,
)
from support.tokens import TokenIssuer

from forestay.settings import KafkaSettings
from forestay.shell.permissions import Grant

#: Passwords made up for these tests; no log and no message may hold one.
PASSWORD: Final = "pa55word of the tests"  # noqa: S105
WORKER: Final = "worker"
#: Who may do everything, whichever way they come.
ADMIN: Final = "admin"
#: Settings of a login, for ways in that need none.
NO_LOGIN: Final[dict[str, Any]] = dict.fromkeys(("sasl_username", "sasl_password_file"))
#: A click event as a line.
EVENT: Final = '{"event_id": "e1", "user_id": "u1", "event": "purchase", "ts": "2026-01-01T00:00:00Z", "price": 20}'
_WAYS: Final = ("tls", "mutual", "expired", "scram", "plain", "oauth", "saslclear", "tunnel")
_LOGIN: Final = "org.apache.kafka.common.security"
_PROPERTIES: Final = """
listeners=PLAINTEXT://127.0.0.1:{plaintext},CONTROLLER://127.0.0.1:{controller},{listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{plaintext},{advertised}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MUTUAL:SSL,EXPIRED:SSL,\
SCRAM:SASL_SSL,PLAIN:SASL_SSL,OAUTH:SASL_SSL,SASLCLEAR:SASL_PLAINTEXT,TUNNEL:SASL_PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={store}
ssl.truststore.type=PEM
ssl.truststore.location={trusted}
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=(.*?)$/$1/
listener.name.expired.ssl.keystore.type=PEM
listener.name.expired.ssl.keystore.location={expired_store}
sasl.enabled.mechanisms=PLAIN
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.scram.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.scram.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.saslclear.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.saslclear.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.tunnel.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.tunnel.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.plain.sasl.enabled.mechanisms=PLAIN
listener.name.plain.plain.sasl.jaas.config={login}.plain.PlainLoginModule required user_{user}="{password}";
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.connections.max.reauth.ms=3000
listener.name.oauth.oauthbearer.sasl.jaas.config={login}.oauthbearer.OAuthBearerLoginModule required;
listener.name.oauth.oauthbearer.sasl.server.callback.handler.class=\
{login}.oauthbearer.OAuthBearerValidatorCallbackHandler
# Without this line Kafka 4.1.0 verifies neither signature nor date of a token.
sasl.oauthbearer.jwt.validator.class={login}.oauthbearer.BrokerJwtValidator
sasl.oauthbearer.jwks.endpoint.url={keys}
sasl.oauthbearer.expected.audience={audience}
sasl.oauthbearer.expected.issuer={issuer}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{admin}
allow.everyone.if.no.acl.found=false
"""


class SecureKafka(KafkaServer):
    """The broker, who signed its certificates, and who signs tokens."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.authority = Authority(folder / "tls", "authority")
        self.stranger = Authority(folder / "tls", "stranger")
        self.tokens = TokenIssuer(folder)
        self.password_file = folder / "password"
        self.password_file.write_text(f"{PASSWORD}\n")
        self.client: Identity = self.authority.issue(WORKER)
        plaintext = int(self.bootstrap.rpartition(":")[2])
        *ports, controller = free_ports(len(_WAYS) + 1)
        self.ways = dict(zip(_WAYS, ports, strict=True))
        listeners = ",".join(f"{name.upper()}://127.0.0.1:{port}" for name, port in self.ways.items())
        tunnel = self.address("tunnel")
        filled = _PROPERTIES.format(
            plaintext=plaintext,
            controller=controller,
            listeners=listeners,
            advertised=listeners.replace(tunnel, "kafka.example:9092"),
            store=self.authority.issue("broker", "127.0.0.1").store(),
            expired_store=self.authority.issue("past", "127.0.0.1", expired=True).store(),
            trusted=self.authority.file,
            login=_LOGIN,
            user=ADMIN,
            password=PASSWORD,
            keys=self.tokens.key_set.as_uri(),
            audience=self.tokens.audience,
            issuer=self.tokens.issuer,
            admin=ADMIN,
        )
        voters = f"controller.quorum.voters=1@127.0.0.1:{controller}\n"
        # Of two lines that set the same, the last counts.
        self._properties.write_text(self._properties.read_text() + filled + voters)

    def start(self) -> None:
        # Kafka reads keys from no place that is not named so, either.
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.tokens.key_set.as_uri()}"
        with patch.dict(os.environ, {"JDK_JAVA_OPTIONS": allowed}):
            super().start()

    def _format(self) -> None:
        scram = [
            f"{mechanism}=[name={user},password={PASSWORD}]"
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for user in (WORKER, ADMIN)
        ]
        users = [part for each in scram for part in ("--add-scram", each)]
        command = [*_java(_STORAGE_TOOL), "format", "-t", _CLUSTER_ID, "-c", str(self._properties), *users]
        tool = subprocess.run(command, capture_output=True, text=True, timeout=_READY_SECONDS, check=False)
        if tool.returncode != 0:
            raise JavaFailedError(f"the storage could not be formatted:\n{tool.stdout}{tool.stderr}")

    def address(self, way: str) -> str:
        return f"127.0.0.1:{self.ways[way]}"

    def scram(self, user: str = WORKER, **over: object) -> KafkaSettings:
        """The usual way in: a password over TLS."""
        values: dict[str, object] = {
            "bootstrap_servers": self.address("scram"),
            "security_protocol": "SASL_SSL",
            "ssl_cafile": self.authority.file,
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": user,
            "sasl_password_file": self.password_file,
            "session_timeout_seconds": 6,
        }
        return KafkaSettings.model_validate(values | over)

    def by_token(self, token: str) -> dict[str, Any]:
        """What `scram` must be given for a token instead of a password; it lies in a file."""
        file = self.password_file.with_name("token")
        file.write_text(token)
        login = {"sasl_mechanism": "OAUTHBEARER", "sasl_token_file": file, **NO_LOGIN}
        return login | {"bootstrap_servers": self.address("oauth")}

    def allow(self, *grants: Grant) -> None:
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.create_acls([_acl(grant) for grant in grants])
            _await(admin, grants, 1)

    def forbid(self, *grants: Grant) -> None:
        """Takes back what `allow` gave."""
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.delete_acls([_acl(grant) for grant in grants])
            _await(admin, grants, 0)


def _await(admin: KafkaAdminClient, grants: Sequence[Grant], count: int) -> None:
    """The controller answers before the broker has heard of it."""
    give_up = time.monotonic() + 10
    while any(len(admin.describe_acls(_acl(grant))[0]) != count for grant in grants):
        assert time.monotonic() < give_up, grants
        time.sleep(0.01)


def _acl(grant: Grant) -> ACL:
    return ACL(
        principal=f"User:{WORKER}",
        host="*",
        operation=ACLOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", grant.operation).upper()],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(
            ResourceType[grant.kind.upper().replace("-", "_")],
            grant.name,
            ACLResourcePatternType.PREFIXED if grant.kind == "transactional-id" else ACLResourcePatternType.LITERAL,
        ),
    )
