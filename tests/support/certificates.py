"""Certificates for tests, made when they are needed: an authority, and what it signs. None is ever committed.

Made with `cryptography`, not with openssl or keytool: it sets any date (an expired certificate is one line), writes
keys as PKCS#8, the only form Kafka's PEM stores read, and starts no process.
"""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


class Identity(NamedTuple):
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    def store(self) -> Path:
        """Both in one file, as Kafka's PEM key store wants them."""
        file = self.key.with_suffix(".store.pem")
        file.write_bytes(self.key.read_bytes() + self.certificate.read_bytes())
        return file


class Authority:
    """Signs certificates; who trusts `file` trusts them all."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self.file = folder / f"{name}.crt"
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key(), x509.random_serial_number())
            .not_valid_before(now - 3 * _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_USAGE_OF_AN_AUTHORITY, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(
        self, name: str, *hosts: str, expired: bool = False, password: str | None = None, file: str | None = None
    ) -> Identity:
        """A certificate for `hosts` (names or addresses); with a password its key is encrypted."""
        key = ec.generate_private_key(ec.SECP256R1())
        end = datetime.now(UTC) + (-_DAY if expired else _DAY)
        builder = (
            x509.CertificateBuilder(self._name, _named(name), key.public_key(), x509.random_serial_number())
            .not_valid_before(end - 2 * _DAY)
            .not_valid_after(end)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        made = Identity(self._folder / f"{file or name}.crt", self._folder / f"{file or name}.key")
        made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        hidden: KeySerializationEncryption = NoEncryption()
        if password is not None:
            hidden = BestAvailableEncryption(password.encode())
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
        return made


_USAGE_OF_AN_AUTHORITY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
