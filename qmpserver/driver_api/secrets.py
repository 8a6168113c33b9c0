"""Get passwords and keys by the names that options give them."""

from collections.abc import Callable

from qmpserver.errors import QMPError

SecretSource = Callable[[str], bytes]
"""Returns the bytes of the secret object of that id; raises QMPError when there is none."""


def no_secrets(secret_id: str) -> bytes:
    """Be the source of those who have none.

    Raises:
        QMPError: Always.
    """
    raise QMPError(f"No secret with id '{secret_id}'")
