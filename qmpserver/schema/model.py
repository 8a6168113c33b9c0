"""Hold commands, events and named types, each able to check what is said to be one."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from qmpserver.errors import ParameterError
from qmpserver.schema import conform, keyval
from qmpserver.schema.builder import Definition, TypeBuilder, notes
from qmpserver.schema.check import Checks, python_name
from qmpserver.schema.qapi import NO_NOTES, Enum, Struct, Type, Union

NO_MEMBERS = Struct("", NO_NOTES)
"""The type of arguments, data and replies of which nothing is said."""

BOXED = "options"
"""The keyword by which a handler gets arguments that are one union, or that may be more than is listed."""


class NamedType:
    """A type of its own name."""

    def __init__(self, described: Type, checks: Checks) -> None:
        self.type = described
        self._checks = checks

    def check(self, value: Any) -> None:
        """Hold a value, as JSON gave it, against the type.

        Raises:
            ParameterError: It is none; QEMU's text says why.
        """
        _bounded(self._checks.of(self.type), value, None, "")

    def from_keyval(self, value: Any) -> Any:
        """Convert dicts, lists and strings, as a command line gives them, to a value of the type.

        Raises:
            ParameterError: It is none; QEMU's text says why.
        """
        return _bounded(keyval.convert, self.type, value)

    def from_image(self, value: Any) -> Any:
        """Convert what a ``json:`` file name holds, where strings and JSON's own types may be mixed.

        An object that leaves out a union's tag is returned as it is, since its driver is yet unknown.

        Raises:
            ParameterError: It is no value of the type; QEMU's text says why.
        """
        return _bounded(keyval.convert_mixed, self.type, value)


class Command:
    """Something a client may ask for.

    Attributes:
        name: Its name on the wire.
        subject: The document that describes it.
        description: What it does.
        since: The QEMU version that first had it.
        features: Its marks, as ``deprecated`` or ``unstable``.
        allow_oob: It may be run out of band.
        detached: Commands sent after it do not wait for its reply.
        changes: It alters the server's state.
        check: Holds arguments, or None for none, against their type and returns them as keywords:
            members with ``_`` for ``-``, or, where they are one union or may be more than is listed,
            all of them as ``options``.
            Nested values stay as they came.  Raises ParameterError with QEMU's text.
    """

    def __init__(
        self, name: str, subject: str, definition: Definition, types: TypeBuilder, checks: Checks
    ) -> None:
        said = notes(definition)
        self.name = name
        self.subject = subject
        self.description = said.description
        self.since = said.since
        self.features = said.features
        self.allow_oob: bool = definition.get("allow-oob", False)
        self.detached: bool = definition.get("detached", False)
        self.changes: bool = definition["changes"]
        self._definition = definition
        self._types = types
        self._checks = checks

    @cached_property
    def arguments(self) -> Struct | Union:
        """The type of the arguments."""
        return _object_type(self._definition.get("arguments"), self._types)

    @cached_property
    def returns(self) -> Type:
        """The type of the reply; an empty struct where nothing is told."""
        definition = self._definition.get("returns")
        return NO_MEMBERS if definition is None else self._types.type(definition)

    @property
    def boxed(self) -> bool:
        """Whether a handler gets the arguments whole: one union, more than is listed, or very many."""
        arguments = self.arguments
        is_boxed: bool = self._definition.get("boxed", False)
        return is_boxed or isinstance(arguments, Union) or arguments.is_open

    @property
    def parameters(self) -> dict[str, bool]:
        """The keywords that :attr:`check` returns, and whether each is always there."""
        arguments = self.arguments
        if self.boxed or isinstance(arguments, Union):
            return {BOXED: True}
        return {python_name(member.name): member.required for member in arguments.members}

    @cached_property
    def check(self) -> Callable[[Mapping[str, Any] | None], dict[str, Any]]:
        """The check of the arguments; see the class."""
        arguments = self.arguments
        if isinstance(arguments, Struct) and not self.boxed:
            return self._checks.of_arguments(arguments)
        check = self._checks.of(arguments)

        def check_boxed(options: Mapping[str, Any] | None) -> dict[str, Any]:
            boxed = {} if options is None else options
            _bounded(check, boxed, None, "")
            return {BOXED: boxed}

        return check_boxed

    def check_reply(self, value: Any) -> None:
        """Hold a reply against its type, strictly.

        Raises:
            SchemaError: It is none; the text has the path to what is wrong.
        """
        conform.conform(self.returns, value, f"reply to {self.name}")


class Event:
    """Something the server tells by itself.

    Attributes:
        name: Its name on the wire.
        subject: The document that describes it.
        description: What has happened.
        since: The QEMU version that first had it.
        features: Its marks, as ``deprecated`` or ``unstable``.
        rate_limit_ms: At most one in so many milliseconds is sent; None for no limit.
        rate_limit_key: The limit holds for each value of this member by itself; None for all together.
    """

    def __init__(self, name: str, subject: str, definition: Definition, types: TypeBuilder) -> None:
        said = notes(definition)
        self.name = name
        self.subject = subject
        self.description = said.description
        self.since = said.since
        self.features = said.features
        self.rate_limit_ms: int | None = definition.get("rate-limit-ms")
        self.rate_limit_key: str | None = definition.get("rate-limit-key")
        self._definition = definition
        self._types = types

    @cached_property
    def data(self) -> Struct | Union:
        """The type of the data."""
        return _object_type(self._definition.get("data"), self._types)

    def check_data(self, value: Mapping[str, Any] | None) -> None:
        """Hold an event's data against its type, strictly.

        Raises:
            SchemaError: It is none; the text has the path to what is wrong.
        """
        conform.conform(self.data, {} if value is None else value, f"event {self.name}")


class Schema:
    """Everything that the documents describe.

    Attributes:
        documents: The documents as read, by subject.
        commands: Every command by name.
        events: Every event by name.
        type_names: Every named type, with its subject.
        derived: What others made of the schema and keep here, until the schema is added to.
    """

    def __init__(self, documents: Mapping[str, Definition]) -> None:
        definitions: dict[str, Definition] = {}
        types, checks = TypeBuilder(definitions), Checks()
        self.documents = documents
        self.commands: dict[str, Command] = {}
        self.events: dict[str, Event] = {}
        self.type_names: dict[str, str] = {}
        for subject, document in documents.items():
            for name, command in document.get("commands", {}).items():
                self.commands[name] = Command(name, subject, command, types, checks)
            for name, event in document.get("events", {}).items():
                self.events[name] = Event(name, subject, event, types)
            for name, definition in document.get("$defs", {}).items():
                definitions[name] = definition
                self.type_names[name] = subject
        self._types = types
        self._checks = checks
        self.derived: dict[str, Any] = {}
        for document in documents.values():
            for union_name, branches in document.get("branches", {}).items():
                for tag_value, definition in branches.items():
                    self.add_branch(union_name, tag_value, definition)

    def type(self, name: str) -> NamedType:
        """Return the type called `name`.

        Raises:
            KeyError: There is none.
        """
        return NamedType(self._types.named(name), self._checks)

    def check_value(self, described: Type, value: Any, name: str) -> None:
        """Hold a value, as JSON gave it, against a type of the schema.

        Args:
            described: The type.
            value: The value.
            name: What it is called in texts.

        Raises:
            ParameterError: It is none of the type; QEMU's text says why.
        """
        _bounded(self._checks.of(described), value, name, "")

    def add_branch(self, union_name: str, tag_value: str, definition: Definition) -> None:
        """Let a union's tag have a further value, as when an installed package brings a driver.

        Args:
            union_name: The union, as ``BlockdevOptions``.
            tag_value: The new value of its tag.
            definition: The further members, as a document would define them.  References are to
                types that the schema has.

        Raises:
            ValueError: The tag has that value already.
        """
        union = self._types.named(union_name)
        if not isinstance(union, Union):
            raise TypeError(f"'{union_name}' is no union")
        tag_type = next(member.type for member in union.members if member.name == union.tag)
        if not isinstance(tag_type, Enum) or tag_value in tag_type.values:
            raise ValueError(f"'{union_name}' has '{tag_value}' already")
        union.branches[tag_value] = self._types.struct("", definition)
        tag_type.values[tag_value] = notes(definition)
        self.derived.clear()


def _object_type(definition: Definition | None, types: TypeBuilder) -> Struct | Union:
    if definition is None:
        return NO_MEMBERS
    described = types.type(definition)
    if not isinstance(described, Struct | Union):
        raise TypeError("arguments and data are objects")
    return described


def _bounded(run: Callable[..., Any], *arguments: Any) -> Any:
    """Run a check that descends with its value, and refuse what is nested beyond reason."""
    try:
        return run(*arguments)
    except RecursionError as error:
        raise ParameterError("Parameters are nested too deeply") from error
