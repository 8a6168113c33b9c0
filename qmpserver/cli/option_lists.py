"""Read the lists that ``-o`` takes: ``name=value,name=value``, with two commas for one."""

from collections.abc import Iterable, Mapping

from qmpserver.cli.command_line import Failure
from qmpserver.errors import QMPError
from qmpserver.options.flat_options import HELP_WORDS, Kind, Value, parse


def join(texts: Iterable[str]) -> str:
    """Make one list of several, the later of which count.

    Raises:
        Failure: One begins or ends with an empty element.
    """
    lists = list(texts)
    for text in lists:
        trailing = len(text) - len(text.rstrip(","))
        if not text or text.startswith(",") or trailing % 2:
            raise Failure(f"Invalid option list: {text}")
    return ",".join(lists)


def wants_help(text: str) -> bool:
    """Say whether a list asks which options there are."""
    return any(word in HELP_WORDS for word in text.replace(",,", "").split(","))


def read(text: str, kinds: Mapping[str, Kind], about: str) -> dict[str, Value]:
    """Return the values in a list by name.

    Args:
        text: The list.
        kinds: The names there are, and what each holds.
        about: What stands before a message.

    Raises:
        Failure: A name is not there, or a value is no good.
    """
    try:
        return dict(parse(text, kinds, None, lambda _what, _instead: None).values)
    except QMPError as error:
        raise Failure(f"{about}{error.description}") from error
