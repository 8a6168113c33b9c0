"""Say what a word could become that is being typed."""

import os
from collections.abc import Iterable, Sequence

from qmpserver.machine.hmp.command import HumanCommand
from qmpserver.machine.hmp.interpreter import INFO, Tables
from qmpserver.machine.hmp.parameters import Kind
from qmpserver.machine.machine import Machine


def complete(tables: Tables, machine: Machine, line: str) -> Sequence[str]:
    """Return what the last word of a line could be, whole, in alphabetical order."""
    *before, word = line.split(" ")
    before = [each for each in before if each]
    if before and before[0] in ("help", "?"):
        before = before[1:]
        return [] if len(before) > 1 else _names(tables, before, word)
    if len(before) == 0 or before == [INFO]:
        return _names(tables, before, word)
    command = tables.info.find(before[1]) if before[0] == INFO else tables.top.find(before[0])
    if command is None:
        return []
    return _arguments(command, machine, before[2 if before[0] == INFO else 1 :], word)


def _names(tables: Tables, before: Sequence[str], word: str) -> Sequence[str]:
    if before and before[0] != INFO:
        return []
    table = tables.info if before else tables.top
    return _fitting((name for command in table.commands for name in command.names), word)


def _arguments(command: HumanCommand, machine: Machine, before: Sequence[str], word: str) -> Sequence[str]:
    """Return what the next argument could be."""
    places = [each for each in command.parameters if each.kind is not Kind.FLAG]
    number = sum(1 for each in before if not each.startswith("-"))
    if number >= len(places):
        return []
    match places[number].kind:
        case Kind.DEVICE:
            return _fitting(
                (*(drive.name for drive in machine.drives), *(node.node_name for node in machine.graph)), word
            )
        case Kind.FILENAME:
            return _filenames(word)
        case Kind.SWITCH:
            return _fitting(("on", "off"), word)
        case Kind.TEXT if places[number].name == "id" and command.name == "device_del":
            return _fitting((device.device_id or "" for device in machine.devices), word)
        case _:
            return []


def _fitting(words: Iterable[str], word: str) -> list[str]:
    return sorted({each for each in words if each and each.startswith(word) and not each.startswith("#")})


def _filenames(word: str) -> list[str]:
    folder, name = os.path.split(word)
    try:
        entries = [*os.scandir(folder or ".")]
    except OSError:
        return []
    found = [entry for entry in entries if entry.name.startswith(name) and (name or entry.name[0] != ".")]
    return sorted(os.path.join(folder, entry.name) + ("/" if entry.is_dir() else "") for entry in found)
