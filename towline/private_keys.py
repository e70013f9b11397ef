"""Private keys of the settings."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from towline.errors import SettingsError


def load_private_key(pem: bytes, setting: str) -> PrivateKeyTypes:
    """Return the private key in a PEM, of whatever kind; ``setting`` is the one that names it.

    Raises:
        SettingsError: the PEM holds no private key without a passphrase. The text never has the PEM.
    """
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError(f"{setting} is no private key in PEM without a passphrase") from None
