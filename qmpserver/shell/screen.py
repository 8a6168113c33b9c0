"""What a shell shows, whatever it is shown on."""

import json
from abc import ABC, abstractmethod

from qmpserver.shell.client import Message
from qmpserver.shell.explanation import Explanation


class Screen(ABC):
    """Where a shell shows things."""

    @abstractmethod
    def message(self, message: Message) -> None:
        """Show a request, a reply or an event."""

    @abstractmethod
    def text(self, text: str) -> None:
        """Show what a command has written for a person."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Show what has happened."""

    @abstractmethod
    def complaint(self, text: str) -> None:
        """Show what is wrong."""

    @abstractmethod
    def explanation(self, explanation: Explanation) -> None:
        """Show help."""


def as_json(message: Message, *, pretty: bool) -> str:
    """Write a message as ``qmp-shell`` does."""
    return json.dumps(message, indent=4 if pretty else None, sort_keys=pretty)
