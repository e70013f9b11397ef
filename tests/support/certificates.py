"""A private certificate authority, a server certificate of it, and keys that sign tokens."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class ServerCertificate:
    """PEM files: the authority to trust, the server's certificate and its key."""

    ca_file: Path
    certificate_file: Path
    key_file: Path


def make_server_certificate(
    folder: Path, address: str = "127.0.0.1", *, valid_for: timedelta = timedelta(days=1)
) -> ServerCertificate:
    """Write a new authority and a certificate for ``address`` into ``folder``; with less than no time it is expired."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _builder("Test authority", "Test authority", ca_key)
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    server = _builder("Test server", "Test authority", key, valid_for).add_extension(names, critical=False)
    made = ServerCertificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    made.ca_file.write_bytes(_sign(ca, ca_key))
    made.certificate_file.write_bytes(_sign(server, ca_key))
    made.key_file.write_bytes(key_pem(key))
    return made


def make_token_certificate(path: Path) -> rsa.RSAPrivateKey:
    """Write the certificate that a registry trusts for tokens, and return the key that signs them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(_sign(_builder("Test token issuer", "Test token issuer", key), key))
    return key


def key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: str, issuer: str, key: PrivateKey, valid_for: timedelta = timedelta(days=1)
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + valid_for)
    )


def _sign(builder: x509.CertificateBuilder, key: PrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
