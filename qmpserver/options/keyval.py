"""Parse QEMU's nested ``key=value,...`` syntax into a tree of dicts, lists and strings.

    driver=qcow2,file.driver=file,file.filename=a,,b.qcow2

A key is names and list indexes joined by dots; two commas in a value are one.  The first word may
leave out its key when the option implies one.  The tree's leaves are all strings: what type each
should be is the schema's to say.

QEMU: of several elements with one index (``a.1``, ``a.01``) the last counts; a key given twice
counts once, with its last value.
"""

import re
from dataclasses import dataclass

from qmpserver.errors import ParameterError

Tree = str | list["Tree"] | dict[str, "Tree"]
"""What a value of the syntax can be."""

HELP_WORDS = frozenset(("help", "?"))
"""A word which, given without a value, asks for help instead of naming a parameter."""

MAX_FRAGMENT = 127
"""The longest name or index between two dots, in bytes."""

_NAME = re.compile(r"(?:__[A-Za-z0-9.-]*_)?[A-Za-z][A-Za-z0-9_-]*")
_INDEX = re.compile(r"[0-9]+")
_KEY_END = re.compile(r"[=,]|\Z")


@dataclass(frozen=True, slots=True)
class Keyval:
    """A parsed option argument.

    Attributes:
        tree: Its parameters; without lists when help is wanted.
        wants_help: A word ``help`` or ``?`` stood among them.
    """

    tree: dict[str, Tree]
    wants_help: bool


def parse(text: str, implied_key: str | None = None) -> Keyval:
    """Parse a whole option argument.

    Args:
        text: What the user wrote.
        implied_key: The key of a first word without one.

    Raises:
        ParameterError: A key is malformed, contradicts another, or has no value.
    """
    tree: dict[str, Tree] = {}
    wants_help = False
    position = 0
    while position < len(text):
        key_end = _find(_KEY_END, text, position)
        key = text[position:key_end]
        has_value = text[key_end : key_end + 1] == "="
        if key in HELP_WORDS and not has_value:
            wants_help = True
            position = key_end + 1
        elif implied_key and key and not has_value:
            _put(tree, implied_key, key)
            position = key_end + 1
        else:
            target, name = _descend(tree, key)
            if not has_value:
                raise ParameterError(f"Expected '=' after parameter '{key}'")
            value, position = _value(text, key_end + 1)
            _put(target, name, value, key)
        implied_key = None
    if wants_help:
        return Keyval(tree, wants_help)
    return Keyval({name: _make_lists(value, name) for name, value in tree.items()}, wants_help)


def _find(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.search(text, start)
    assert found is not None
    return found.start()


def _value(text: str, start: int) -> tuple[str, int]:
    """Read a value up to a single comma; return it and where the next key starts."""
    pieces: list[str] = []
    while True:
        comma = text.find(",", start)
        if comma < 0:
            pieces.append(text[start:])
            return "".join(pieces), len(text)
        if text[comma + 1 : comma + 2] != ",":
            pieces.append(text[start:comma])
            return "".join(pieces), comma + 1
        pieces.append(text[start : comma + 1])
        start = comma + 2


def _descend(tree: dict[str, Tree], key: str) -> tuple[dict[str, Tree], str]:
    """Go down to the dict that the key's last fragment belongs in, making those on the way."""
    position = 0
    while True:
        fragment = _fragment(key, position)
        end = position + len(fragment)
        if end == len(key):
            return tree, fragment
        below = tree.setdefault(fragment, {})
        if not isinstance(below, dict):
            raise _inconsistent(key[:end])
        tree = below
        position = end + 1


def _fragment(key: str, position: int) -> str:
    """Read one name, or one index where it is not the first."""
    found = (_INDEX.match(key, position) if position else None) or _NAME.match(key, position)
    if found is None or (found.end() < len(key) and key[found.end()] != "."):
        raise ParameterError(f"Invalid parameter '{key}'")
    fragment = found.group()
    if len(fragment) > MAX_FRAGMENT:
        kind = "Parameter" if fragment == key else "Parameter fragment"
        raise ParameterError(f"{kind} '{fragment}' is too long")
    return fragment


def _put(target: dict[str, Tree], name: str, value: str, key: str | None = None) -> None:
    if not isinstance(target.get(name, ""), str):
        raise _inconsistent(key or name)
    target[name] = value


def _make_lists(value: Tree, key: str) -> Tree:
    """Turn dicts whose keys are all indexes into lists, from the leaves up."""
    if not isinstance(value, dict):
        return value
    members = {name: _make_lists(below, f"{key}.{name}") for name, below in value.items()}
    indexed = {int(name): below for name, below in members.items() if _INDEX.fullmatch(name)}
    if not indexed:
        return members
    if not all(_INDEX.fullmatch(name) for name in members):
        raise _inconsistent(key)
    for index in range(len(indexed)):
        if index not in indexed:
            raise ParameterError(f"Parameter '{key}.{index}' missing")
    return [indexed[index] for index in range(len(indexed))]


def _inconsistent(key: str) -> ParameterError:
    return ParameterError(f"Parameters '{key}.*' used inconsistently")
