"""Say how connections are encrypted, and who may come in."""

import ssl
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ServerCredentials:
    """What a server encrypts with.

    Attributes:
        context: Made of the credentials.
    """

    context: ssl.SSLContext


class Authorizer(Protocol):
    """Decides who may come in."""

    def admits(self, connection: ssl.SSLSocket) -> bool:
        """Say whether the client at the other end may."""
