"""Find the TLS credentials that the options name."""

import ssl

from qmpserver.cli.command_line import Given
from qmpserver.errors import QMPError
from qmpserver.objects import ObjectStore


def tls_context(given: Given, objects: ObjectStore, *, is_server: bool) -> ssl.SSLContext | None:
    """Return how to encrypt, or None when nothing is to be encrypted.

    Raises:
        QMPError: There are no such credentials, or they are for the other side.
    """
    wanted = given.last("tls-creds")
    if wanted is None:
        return None
    try:
        return objects.credentials(wanted, is_server=is_server).context()
    except QMPError as error:
        if error.description.startswith("Expecting TLS credentials"):
            side = "server" if is_server else "client"
            error = QMPError(f"Expected TLS credentials for a {side} endpoint")
        raise error.within("Failed to get TLS creds: ") from error
