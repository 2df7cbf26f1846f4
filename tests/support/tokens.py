"""JSON web tokens for tests, signed by a key made here, and the key set by which a broker verifies them."""

import json
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class TokenIssuer:
    """Signs tokens as an identity provider does."""

    audience = "kafka"
    issuer = "https://idp.example"

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(65_537, 2_048)
        public = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": "test",
            "n": _number(public.n),
            "e": _number(public.e),
        }
        self.key_set = folder / "jwks.json"
        self.key_set.write_text(json.dumps({"keys": [key]}))

    def token(self, subject: str, seconds: float = 600.0, **claims: Any) -> str:
        """A token for `subject`, valid for so long."""
        now = int(time.time())
        payload = {"sub": subject, "iss": self.issuer, "aud": self.audience, "scope": "kafka", "iat": now}
        payload |= {"exp": now + int(seconds)} | claims
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT', 'kid': 'test'})}.{_part(payload)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_text(signature)}"


def _part(content: dict[str, Any]) -> str:
    return _text(json.dumps(content).encode())


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
