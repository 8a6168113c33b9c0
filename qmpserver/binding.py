"""Bind each command of the schema to the function that carries it out, and check that they match.

A server's start need not wait for the functions of commands that nobody has sent.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.errors import ParameterError
from qmpserver.monitor.commands import BoundCommand, Client
from qmpserver.schema.model import Command, Schema

Check = Callable[[Mapping[str, Any] | None], dict[str, Any]]
Run = Callable[[Client, dict[str, Any]], Any]

SESSION_COMMANDS = frozenset(("qmp_capabilities",))
"""Commands that the QMP session carries out by itself."""


NAMING_DRIVERS = frozenset(("blockdev-add", "blockdev-reopen"))
"""Commands whose arguments may name a driver that an installed package brings."""


class MismatchError(Exception):
    """Report that the schema and the functions do not describe the same commands."""


def bind_commands(daemon: Daemon) -> dict[str, BoundCommand]:
    """Return every command of the schema, ready to be run on `daemon`.

    A command's function is imported, and held against the schema, when it is first run; :func:`check_functions`
    does so for all.
    """
    return {
        command.name: BoundCommand(
            name=command.name,
            check=_check(daemon, command),
            run=_runner(daemon, command),
            allow_oob=command.allow_oob,
            detached=command.detached,
            changes=command.changes,
        )
        for command in daemon.schema.commands.values()
        if command.name not in SESSION_COMMANDS
    }


def check_functions(schema: Schema) -> None:
    """Compare all commands with all functions.

    Raises:
        MismatchError: A command has no function, a function no command, or their arguments differ.
    """
    for subject, commands in _by_subject(schema).items():
        module = _module(subject)
        known = {_function_name(command.name) for command in commands}
        unknown = [name for name, _ in _handlers(module) if name not in known]
        if unknown:
            raise MismatchError(f"{module.__name__} has functions that are no commands: {sorted(unknown)}")
        for command in commands:
            if command.name not in SESSION_COMMANDS:
                _find_function(command)


def _by_subject(schema: Schema) -> dict[str, list[Command]]:
    subjects: dict[str, list[Command]] = {}
    for command in schema.commands.values():
        subjects.setdefault(command.subject, []).append(command)
    return subjects


def _module(subject: str) -> ModuleType:
    name = subject.replace("-", "_").replace("/", ".")
    return importlib.import_module(f"qmpserver.commands.{name}")


def _function_name(command_name: str) -> str:
    return command_name.replace("-", "_")


def _handlers(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """Go through a module's own public functions whose first parameter is the daemon or machine."""
    for name, value in vars(module).items():
        if name.startswith("_") or not isinstance(value, FunctionType) or value.__module__ != module.__name__:
            continue
        if value.__code__.co_varnames[:1] in {("daemon",), ("machine",)}:
            yield name, value


def _keywords(handler: FunctionType) -> dict[str, bool]:
    """Return the keywords that a function takes, and whether each has to be given."""
    # What `inspect` would tell as well, but the first command would wait for it to be imported.
    code, defaults = handler.__code__, handler.__kwdefaults__ or {}
    names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return {name: name not in defaults for name in names}


def _find_function(command: Command) -> FunctionType:
    """Import a command's function; refuse one that takes other arguments."""
    module = _module(command.subject)
    handler = dict(_handlers(module)).get(_function_name(command.name))
    if handler is None:
        raise MismatchError(f"command '{command.name}' has no function in {module.__name__}")
    given = {name: required for name, required in _keywords(handler).items() if name != "client"}
    wanted = command.parameters
    if given != wanted:
        raise MismatchError(
            f"command '{command.name}' takes {_list(wanted)}, but its function takes {_list(given)}"
        )
    return handler


def _check(daemon: Daemon, command: Command) -> Check:
    """Return a command's check; one that names drivers asks other packages before it refuses."""
    if command.name not in NAMING_DRIVERS:
        return command.check

    def check(arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            return command.check(arguments)
        except ParameterError:
            if not daemon.load_third_party_drivers():
                raise
            return command.check(arguments)

    return check


def _runner(daemon: Daemon, command: Command) -> Run:
    found: Run | None = None

    def run(client: Client, arguments: dict[str, Any]) -> Any:
        nonlocal found
        if found is None:
            found = _bind(daemon, _find_function(command))
        return found(client, arguments)

    return run


def _bind(daemon: Daemon, handler: FunctionType) -> Run:
    if "client" in _keywords(handler):
        return lambda client, arguments: handler(daemon, client=client, **arguments)
    return lambda _client, arguments: handler(daemon, **arguments)


def _list(parameters: dict[str, bool]) -> str:
    return ", ".join(name if required else f"*{name}" for name, required in parameters.items()) or "nothing"
