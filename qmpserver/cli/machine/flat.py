"""Read an option's flat ``key=value,...`` by the table that says which parameters it has."""

from collections.abc import Callable, Mapping

from qmpserver.errors import ParameterError
from qmpserver.machine.option_parameters import PARAMETERS, Parameters
from qmpserver.options.flat_options import FlatOptions, Kind, Value, parse
from qmpserver.options.structured import HelpWanted

_KINDS = {"string": Kind.STRING, "boolean": Kind.BOOLEAN, "number": Kind.NUMBER, "size": Kind.SIZE}

_SHOWN = {"string": "str", "boolean": "bool (on/off)", "number": "num", "size": "size"}

Warn = Callable[[str, str], object]
"""Told of what is deprecated, and what to write instead."""


def read_flat(group: str, text: str, implied: str | None, warn: Warn) -> FlatOptions:
    """Read an option of a known group.

    Raises:
        ParameterError: A parameter is unknown, or its value is none of its type.
        HelpWanted: It asks what the parameters are.
    """
    found = parse(text, kinds(PARAMETERS[group]), implied, warn)
    if found.wants_help:
        raise HelpWanted(group_help(group))
    return found


def group_help(group: str) -> str:
    """Return the list of a group's parameters."""
    lines = [f"  {name}=<{_SHOWN[kind]}>" for name, kind in sorted(PARAMETERS[group].items())]
    return "\n".join([f"{group} options:", *lines])


def kinds(parameters: Parameters) -> Mapping[str, Kind]:
    """Return how the values of parameters are read."""
    return {name: _KINDS[kind] for name, kind in parameters.items()}


def one_of(values: Mapping[str, Value], key: str, allowed: str, complaint: str) -> None:
    """Refuse a value that is none of some words.

    Args:
        values: What was given.
        key: Which of it.
        allowed: The words.
        complaint: The text, in which ``{}`` stands for the value.

    Raises:
        ParameterError: It is none of them.
    """
    value = values.get(key)
    if value is not None and value not in allowed.split():
        raise ParameterError(complaint.format(value))
