"""Talk to a session as a carrier would, without any."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qmpserver.qmp.requests import Request
from qmpserver.qmp.session import Session


@dataclass(frozen=True)
class Toy:
    """A command that is only known by name."""

    allow_oob: bool = False


COMMANDS = {"query-x": Toy(), "slow": Toy(), "x-oob": Toy(allow_oob=True)}
NEGOTIATION = b'{"execute":"qmp_capabilities"}\n'
NEGOTIATION_WITH_OOB = b'{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}\n'


def take_all(session: Session) -> list[Any]:
    """Take until there is nothing more; replies are decoded."""
    items: list[Any] = []
    while (item := session.take()) is not None:
        items.append(item if isinstance(item, Request) else json.loads(item))
    return items


def negotiated(opening: bytes = NEGOTIATION) -> Session:
    """Return a session in command mode."""
    session = Session({}, COMMANDS)
    session.feed(opening)
    assert take_all(session) == [{"return": {}}]
    return session


def answers(chunks: Iterable[bytes]) -> list[str]:
    """Return what a client that sends these bytes after negotiating would read before the end row's answer."""
    session = negotiated()
    texts: list[str] = []
    for chunk in chunks:
        session.feed(chunk)
        for item in take_all(session):
            if item.get("id") == "end":
                return texts
            texts.append(item["error"]["desc"])
    raise AssertionError("the end was not answered")
