"""A GitHub App's key for tests: the private half in a file, as operators keep it, and the public half."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PEM = serialization.Encoding.PEM


def write(file: Path) -> bytes:
    """Make a key, write it to a file, return its public half."""
    private = rsa.generate_private_key(65537, 2048)
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(private.private_bytes(PEM, form, plain))
    return private.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
