"""Tokens for SASL OAUTHBEARER: from a file that something else renews, or from a token endpoint.

Kafka's two clients here ask for a token at every connection, and name the method alike: kafka-python wants text at
once, aiokafka awaits it. One provider serves both: what it gives is text when formatted, and can be awaited too.
"""

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Generator
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiokafka.abc
import kafka.net.sasl.oauth

from forestay import access
from forestay.access import AccessError
from forestay.settings import KafkaSettings
from forestay.shell.tls import client_context

#: How long a token endpoint may take (seconds), and the most it may answer (bytes).
_TIMEOUT: Final = 10.0
_LONGEST: Final = 65_536
#: The part of a token's life after which a new one is asked for, and the life of one that does not tell (seconds).
_PART: Final = 0.8
_UNTOLD: Final = 60.0


class _Token:
    """A token that is had when it is needed."""

    def __init__(self, get: Callable[[], str]) -> None:
        self._get = get

    def __str__(self) -> str:
        return self._get()

    def __await__(self) -> Generator[Any, None, str]:
        # A token endpoint may take its time: the loop goes on.
        return asyncio.to_thread(self._get).__await__()


# Neither client has types.
class TokenProvider(aiokafka.abc.AbstractTokenProvider, kafka.net.sasl.oauth.AbstractTokenProvider):  # type: ignore[misc]
    """Gives both clients their tokens."""

    def __init__(self, get: Callable[[], str]) -> None:
        """`get` returns a token that is valid now; it may block, and is called from several threads."""
        super().__init__()
        self._get = get

    def token(self) -> Any:
        """See the clients' own classes."""
        return _Token(self._get)

    def extensions(self) -> dict[str, str]:
        """Returns none."""
        return {}


def token_provider(kafka: KafkaSettings) -> TokenProvider:
    """Returns what gives tokens as `kafka` says."""
    if kafka.sasl_token_url is not None:
        return TokenProvider(TokenEndpoint(kafka).token)
    file = kafka.sasl_token_file
    assert file is not None, "the settings are checked for it"  # noqa: S101
    return TokenProvider(lambda: access.read_secret("kafka.sasl_token_file", file).strip())


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none: the client's secret would go along."""

    def redirect_request(self, *args: Any) -> None:
        """Returns none: the answer is then an error like any other."""


class TokenEndpoint:
    """Gets tokens by client credentials (RFC 6749, section 4.4), and keeps each for most of its life."""

    def __init__(self, kafka: KafkaSettings) -> None:
        """Asks nobody yet."""
        self._kafka = kafka
        self._url = str(kafka.sasl_token_url)
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def token(self) -> str:
        """Returns a token that is valid.

        Raises:
            AccessError: the endpoint gives none.
        """
        with self._lock:
            if time.monotonic() >= self._renew_at:
                asked = time.monotonic()
                self._token, seconds = self._ask()
                self._renew_at = asked + _PART * seconds
            return self._token

    def _ask(self) -> tuple[str, float]:
        # The scheme is checked with the settings: nothing but http and https.
        request = urllib.request.Request(self._url, self._form().encode(), self._headers())  # noqa: S310
        trusted = (
            client_context(self._kafka.ssl_cafile, "kafka.ssl_cafile") if self._url.startswith("https") else None
        )
        opener = urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=trusted))
        try:
            with opener.open(request, timeout=_TIMEOUT) as answer:
                content = json.loads(answer.read(_LONGEST))
            return str(content["access_token"]), float(content.get("expires_in") or _UNTOLD)
        except urllib.error.HTTPError as error:
            error.close()
            advice = "are kafka.sasl_username and kafka.sasl_password_file the client's id and secret?"
            raise AccessError(f"{self._url} gives no token (HTTP {error.code}): {advice}") from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise AccessError(f"{self._url} (kafka.sasl_token_url) cannot be asked for a token: {reason}") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            # What it answered may hold a token: it is not shown.
            raise AccessError(f"{self._url} (kafka.sasl_token_url) answers, but not with an access_token") from None

    def _form(self) -> str:
        scope = {"scope": self._kafka.sasl_token_scope} if self._kafka.sasl_token_scope else {}
        return urlencode({"grant_type": "client_credentials"} | scope)

    def _headers(self) -> dict[str, str]:
        # RFC 6749, section 2.3.1: both are form-encoded before they are joined.
        client = f"{quote(str(self._kafka.sasl_username), safe='')}:{quote(str(self._kafka.password), safe='')}"
        return {
            "Authorization": f"Basic {b64encode(client.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
