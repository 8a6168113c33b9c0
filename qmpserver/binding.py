"""Bind each command of the schema to the function that carries it out, and check that they match."""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.errors import ParameterError
from qmpserver.monitor.commands import BoundCommand, Client
from qmpserver.schema.model import Command, Schema

Handler = Callable[..., Any]
Check = Callable[[Mapping[str, Any] | None], dict[str, Any]]

SESSION_COMMANDS = frozenset(("qmp_capabilities",))
"""Commands that the QMP session carries out by itself."""


NAMING_DRIVERS = frozenset(("blockdev-add", "blockdev-reopen"))
"""Commands whose arguments may name a driver that an installed package brings."""


class MismatchError(Exception):
    """Report that the schema and the functions do not describe the same commands."""


def bind_commands(daemon: Daemon) -> dict[str, BoundCommand]:
    """Return every command of the schema, ready to be run on `daemon`.

    Raises:
        MismatchError: A command has no function, a function no command, or their arguments differ.
    """
    bound: dict[str, BoundCommand] = {}
    for subject, commands in _by_subject(daemon.schema).items():
        module = importlib.import_module(f"qmpserver.commands.{subject.replace('-', '_')}")
        handlers = dict(_handlers(module))
        for command in commands:
            if command.name in SESSION_COMMANDS:
                continue
            handler = handlers.pop(_function_name(command.name), None)
            if handler is None:
                raise MismatchError(f"command '{command.name}' has no function in {module.__name__}")
            bound[command.name] = _bind(daemon, command, handler)
        if handlers:
            raise MismatchError(f"{module.__name__} has functions that are no commands: {sorted(handlers)}")
    return bound


def _by_subject(schema: Schema) -> dict[str, list[Command]]:
    subjects: dict[str, list[Command]] = {}
    for command in schema.commands.values():
        subjects.setdefault(command.subject, []).append(command)
    return subjects


def _function_name(command_name: str) -> str:
    return command_name.replace("-", "_")


def _handlers(module: ModuleType) -> Iterator[tuple[str, Handler]]:
    """Go through a module's own public functions whose first parameter is the daemon."""
    for name, value in vars(module).items():
        if name.startswith("_") or not inspect.isfunction(value) or value.__module__ != module.__name__:
            continue
        if next(iter(inspect.signature(value).parameters), None) == "daemon":
            yield name, value


def _bind(daemon: Daemon, command: Command, handler: Handler) -> BoundCommand:
    parameters = inspect.signature(handler).parameters
    wants_client = "client" in parameters
    given = {
        name: parameter.default is parameter.empty
        for name, parameter in parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name != "client"
    }
    wanted = command.parameters
    if given != wanted:
        raise MismatchError(
            f"command '{command.name}' takes {_list(wanted)}, but its function takes {_list(given)}"
        )
    return BoundCommand(
        name=command.name,
        check=_check(daemon, command),
        run=_runner(daemon, handler, wants_client=wants_client),
        allow_oob=command.allow_oob,
        detached=command.detached,
        changes=command.changes,
    )


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


def _runner(
    daemon: Daemon, handler: Handler, *, wants_client: bool
) -> Callable[[Client, dict[str, Any]], Any]:
    if wants_client:
        return lambda client, arguments: handler(daemon, client=client, **arguments)
    return lambda _client, arguments: handler(daemon, **arguments)


def _list(parameters: dict[str, bool]) -> str:
    return ", ".join(name if required else f"*{name}" for name, required in parameters.items()) or "nothing"
