"""Read options from a file, and add to options that were given before.

A file of ``-readconfig`` has sections, ``[device "id"]``, of lines ``key = "value"``; each section is read as the
option of its name would be.
"""

import re

from qmpserver.errors import QMPError, error_text
from qmpserver.options.flat_options import split_pairs
from qmpserver.options.getopt import Option

_SECTION = re.compile(r'\[(?P<group>[a-z-]+)(?: "(?P<id>[^"]*)")?\]\Z')
_SETTING = re.compile(r'(?P<key>[A-Za-z0-9._-]+) = "(?P<value>[^"]*)"\Z')
_SET = re.compile(r"(?P<group>[^.]+)\.(?P<id>[^.]+)\.(?P<key>[^=]+)=(?P<value>.*)\Z", re.DOTALL)

_OPTIONS = {"memory": "m", "smp-opts": "smp", "boot-opts": "boot"}
"""What options are called whose groups have other names."""

_NAMES = (
    "accel action add-fd audiodev boot-opts chardev device drive global machine memory mon msg name netdev numa "
    "object overcommit rtc sandbox smp-opts trace"
)
_GROUPS = frozenset(_NAMES.split())

_SETTABLE = ("chardev", "device", "drive", "netdev")
"""Groups whose options have ids and can be added to."""


def read_config(option: Option) -> list[Option]:
    """Return the options in a file.

    Args:
        option: The ``-readconfig``.

    Raises:
        QMPError: The file cannot be read, or makes no sense.
    """
    try:
        with open(option.value, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
    except OSError as error:
        raise QMPError(f"Could not open '{option.value}': {error_text(error)}") from error
    found: list[Option] = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        section, setting = _SECTION.match(line), _SETTING.match(line)
        if section is not None:
            found.append(_section(section, option))
        elif setting is None:
            raise QMPError("parse error")
        elif not found:
            raise QMPError("no group defined")
        else:
            found[-1] = with_setting(found[-1], setting["key"], setting["value"])
    return found


def _section(found: re.Match[str], option: Option) -> Option:
    group = found["group"]
    if group not in _GROUPS:
        raise QMPError(f"There is no option group '{group}'")
    name = _OPTIONS.get(group, group)
    return Option(name, f"id={found['id']}" if found["id"] is not None else "", option.written)


def with_setting(option: Option, key: str, value: str) -> Option:
    """Return an option that says something more."""
    more = f"{key}={value.replace(',', ',,')}"
    return Option(option.name, f"{option.value},{more}" if option.value else more, option.written)


def add_to_earlier(given: list[Option], text: str) -> None:
    """Add what ``-set`` says to the option that it is about.

    Args:
        given: The options before it; one is replaced.
        text: ``group.id.key=value``.

    Raises:
        QMPError: There is no such option, or nothing can be added to it.
    """
    found = _SET.match(text)
    if found is None:
        raise QMPError(f'can\'t parse: "{text}"')
    group, wanted_id = found["group"], found["id"]
    if group not in _GROUPS:
        raise QMPError(f"There is no option group '{group}'")
    if group in ("object", "machine", "accel", "boot-opts", "smp-opts"):
        raise QMPError(f"-set is not supported with {group}")
    for position, option in enumerate(given):
        if option.name == group in _SETTABLE and _id_of(option) == wanted_id:
            given[position] = with_setting(option, found["key"], found["value"])
            return
    raise QMPError(f'there is no {group} "{wanted_id}" defined')


def _id_of(option: Option) -> str | None:
    if option.value.startswith("{"):
        return None
    pairs, _ = split_pairs(option.value, "driver", lambda _what, _instead: None)
    return next((value for key, value in pairs if key == "id"), None)
