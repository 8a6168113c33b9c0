"""Read the argument of an option whose value is a structure: JSON, or nested key=value."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from qmpserver.errors import ParameterError, QMPError
from qmpserver.options import keyval
from qmpserver.qmp.lexer import Lexer
from qmpserver.qmp.parser import INCOMPLETE, JSONError, Parser

_END = b"\0"


class NamedType(Protocol):
    """A type of the schema, which both forms can be made into."""

    def check(self, value: Any) -> None:
        """Hold JSON against the type."""

    def from_keyval(self, value: Any) -> Any:
        """Convert a tree of strings."""


@dataclass(frozen=True, slots=True)
class Structured:
    """An argument, not checked yet.

    Attributes:
        tree: The JSON object, or the parsed tree, whose leaves are strings.
        is_json: Which of the two.
    """

    tree: dict[str, Any]
    is_json: bool

    def as_type(self, named: NamedType) -> dict[str, Any]:
        """Return the argument as the value of a type.

        Raises:
            ParameterError: It does not fit; the text names the member.
        """
        if self.is_json:
            named.check(self.tree)
            return self.tree
        value: dict[str, Any] = named.from_keyval(self.tree)
        return value


def parse(
    text: str, implied_key: str | None, help_text: Callable[[keyval.Keyval], str] | None = None
) -> Structured:
    """Read an argument: as JSON when it begins with a brace.

    Args:
        text: What the user wrote.
        implied_key: The key of a first word without one, or None when there is none.
        help_text: Makes the answer for who asks for help; None where there is none.

    Raises:
        QMPError: It is malformed, or help is asked for where there is none.
        HelpWanted: It asks for help.
    """
    if text.startswith("{"):
        return Structured(json_object(text), is_json=True)
    parsed = keyval.parse(text, implied_key)
    if parsed.wants_help:
        if help_text is None:
            raise QMPError("Help is not available for this option")
        raise HelpWanted(help_text(parsed))
    return Structured(dict(parsed.tree), is_json=False)


class HelpWanted(Exception):
    """Say that an option asked for help; the text is the answer."""


def json_object(text: str) -> dict[str, Any]:
    """Read an object in QEMU's dialect of JSON, with QEMU's texts for errors.

    Raises:
        ParameterError: It is malformed.
    """
    found: dict[str, Any] = json_value(text)
    return found


def json_value(text: str) -> Any:
    """Read a value in QEMU's dialect of JSON, with QEMU's texts for errors.

    The zero byte put after the text is one that no token goes on with, so what is unfinished ends there.

    Raises:
        ParameterError: It is malformed.
    """
    lexer, parser = Lexer(), Parser()
    lexer.feed(os.fsencode(text) + _END)
    value: Any = INCOMPLETE
    while (token := lexer.next()) is not None and token.text != _END:
        if value is not INCOMPLETE:
            raise ParameterError("Expecting at most one JSON value")
        try:
            value = parser.push(token)
        except JSONError as error:
            raise ParameterError(error.description) from error
    if value is INCOMPLETE:
        place = f"{token.line}:{token.column}: " if token else ""
        raise ParameterError(f"{place}JSON parse error, premature end of input")
    return value
