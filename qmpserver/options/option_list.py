"""Read the options that ``-o`` and ``--image-opts`` give: ``key=value,...`` with dotted keys.

Their values are strings, of which some mean more than they do to ``blockdev-add``: sizes may have a suffix.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qmpserver.block import reopen_options
from qmpserver.driver_api.option_sizes import SIZES
from qmpserver.errors import QMPError
from qmpserver.options.flat_options import Kind, parse, size
from qmpserver.options.host_modes import DISCARD_MODES


class _AnyKey(dict[str, Kind]):
    """Takes every key, as a string."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Kind:
        return Kind.STRING


def option_list(
    texts: Iterable[str], warn: Callable[[str, str], object], *, implied_key: str | None = None
) -> dict[str, Any]:
    """Return the options in several lists by their dotted names; the later ones count.

    Args:
        texts: The lists.
        warn: Told of what is deprecated, and what to write instead.
        implied_key: The key of a first word without one; None where such a word is a boolean.

    Raises:
        QMPError: A list is malformed.
    """
    options: dict[str, Any] = {}
    for text in texts:
        given = parse(text, _AnyKey(), implied_key, warn)
        options |= given.values
        if given.option_id is not None:
            options["id"] = given.option_id
        if given.wants_help:
            # QEMU: there is no help here, so this is an option like any other.
            options["help"] = "on"
    return options


def nested(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as ``blockdev-add`` has them, though their values are strings still.

    Raises:
        QMPError: Names contradict each other, or a value is none.
    """
    plain = {name: plain_value(name, value) for name, value in options.items()}
    try:
        return reopen_options.nest(plain)
    except (AttributeError, TypeError) as error:
        raise QMPError("Cannot mix scalar and non-scalar keys") from error


def plain_value(name: str, value: Any) -> Any:
    """Return an option's value in the words of ``blockdev-add``.

    Raises:
        QMPError: It is none.
    """
    if not isinstance(value, str):
        return value
    last = name.rpartition(".")[2]
    if last in SIZES:
        return size(last, value)
    if last == "discard":
        if value not in DISCARD_MODES:
            raise QMPError("Invalid discard option")
        return DISCARD_MODES[value]
    return value
