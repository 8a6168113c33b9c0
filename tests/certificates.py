"""Certificates for tests: an authority, a server and a client, as QEMU wants them in a folder."""

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_END = dt.datetime(2050, 1, 1, tzinfo=dt.UTC)
_PEM = serialization.Encoding.PEM

Signer = tuple[x509.Name, ec.EllipticCurvePrivateKey]


def make_certificates(folder: Path, *, password: bytes | None = None) -> Path:
    """Fill a folder with all the files that either side needs, and return it.

    Args:
        folder: Where to put them.
        password: What the server's key is encrypted with, or None.
    """
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("authority")
    authority = _builder(name, name, key).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    usage = x509.KeyUsage(
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
    certificate = authority.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    (folder / "ca-cert.pem").write_bytes(certificate.public_bytes(_PEM))
    _make_one(folder, "server", (name, key), ExtendedKeyUsageOID.SERVER_AUTH, password)
    _make_one(folder, "client", (name, key), ExtendedKeyUsageOID.CLIENT_AUTH, None)
    return folder


def _make_one(
    folder: Path, side: str, signer: Signer, usage: x509.ObjectIdentifier, password: bytes | None
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(side), signer[0], key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(signer[1], hashes.SHA256())
    )
    encryption = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    )
    (folder / f"{side}-cert.pem").write_bytes(certificate.public_bytes(_PEM))
    (folder / f"{side}-key.pem").write_bytes(
        key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption)
    )


def _name(side: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, side),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
    )
