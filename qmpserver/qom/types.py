"""Know the types of objects: what each descends from, and which properties it has."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.throttling.limits import MEMBERS


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a type.

    Attributes:
        name: Its name.
        type_name: The name of the type of its value.
        description: What it is, if that is told.
        default: What it is at first, if that is told.
    """

    name: str
    type_name: str
    description: str | None = None
    default: Any = None


class TypeEntry(Protocol):
    """What a table knows of a type; see :class:`ObjectType`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def parent(self) -> str | None:
        """The type it descends from, or None."""

    @property
    def is_abstract(self) -> bool:
        """There are no objects of just this type."""

    @property
    def is_creatable(self) -> bool:
        """Users may make objects of it."""

    @property
    def own(self) -> tuple[Property, ...]:
        """Its properties beyond those of its parent."""

    @property
    def backend(self) -> str | None:
        """The type of an object inside it whose properties it has as well, or None."""


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A type of object.

    Attributes:
        name: Its name.
        parent: The type it descends from, or None.
        is_abstract: There are no objects of just this type.
        is_creatable: Users may make objects of it.
        own: Its properties beyond those of its parent.
        backend: The type of an object inside it whose properties it has as well.
    """

    name: str
    parent: str | None
    is_abstract: bool = False
    is_creatable: bool = False
    own: tuple[Property, ...] = ()
    backend: str | None = None


class TypeTable:
    """The types that there are.

    Args:
        entries: All of them.
    """

    def __init__(self, entries: Iterable[TypeEntry]) -> None:
        self._entries = {entry.name: entry for entry in entries}

    def __iter__(self) -> Iterator[TypeEntry]:
        return iter(self._entries.values())

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def extended(self, entries: Iterable[TypeEntry]) -> "TypeTable":
        """Return a table with more types."""
        return TypeTable([*self, *entries])

    def descends_from(self, name: str, ancestor: str) -> bool:
        """Say whether a type is, or descends from, another, or is creatable if that is what is asked."""
        if ancestor == "user-creatable" and self._entries[name].is_creatable:
            return True
        return any(entry.name == ancestor for entry in self.ancestry(name))

    def properties_of(self, name: str) -> list[Property]:
        """Return the properties of a type, those of its ancestors first.

        Raises:
            DeviceNotFound: There is no such type.
            QMPError: It is no type of object.
        """
        if name not in self._entries:
            raise DeviceNotFound(f"Class '{name}' not found")
        if self.descends_from(name, _INTERFACE):
            raise QMPError("Parameter 'typename' expects a QOM type")
        found: dict[str, Property] = {}
        for entry in reversed([*self.ancestry(name)]):
            # What an ancestor has with another default is replaced in its place.
            found.update((own.name, own) for own in entry.own)
            if entry.backend is not None:
                inner = {own.name: own for own in self.properties_of(entry.backend)}
                found = (
                    inner | found | {"virtio-backend": Property("virtio-backend", f"child<{entry.backend}>")}
                )
        return list(found.values())

    def ancestry(self, name: str | None) -> Iterator[TypeEntry]:
        """Go through a type and those it descends from, itself first."""
        while name is not None:
            yield self._entries[name]
            name = self._entries[name].parent


def _ints(*names: str) -> tuple[Property, ...]:
    return tuple(Property(name, "int") for name in names)


def _strings(*names: str) -> tuple[Property, ...]:
    return tuple(Property(name, "string") for name in names)


_INTERFACE = "interface"
"""The root of what objects may additionally be; no object descends from it."""

TYPES = TypeTable(
    (
        ObjectType("object", None, is_abstract=True, own=_strings("type")),
        ObjectType("container", "object"),
        ObjectType(_INTERFACE, None, is_abstract=True),
        ObjectType("user-creatable", _INTERFACE, is_abstract=True),
        ObjectType(
            "event-loop-base",
            "object",
            is_abstract=True,
            own=_ints("aio-max-batch", "thread-pool-min", "thread-pool-max"),
        ),
        ObjectType(
            "iothread",
            "event-loop-base",
            is_creatable=True,
            own=_ints("poll-max-ns", "poll-grow", "poll-shrink", "poll-weight"),
        ),
        ObjectType(
            "secret_common",
            "object",
            is_abstract=True,
            own=(Property("format", "QCryptoSecretFormat"), *_strings("keyid", "iv")),
        ),
        ObjectType("secret", "secret_common", is_creatable=True, own=_strings("data", "file")),
        ObjectType(
            "throttle-group",
            "object",
            is_creatable=True,
            own=(Property("limits", "ThrottleLimits"), *_ints(*(f"x-{name}" for name in MEMBERS))),
        ),
        ObjectType(
            "tls-creds",
            "object",
            is_abstract=True,
            own=(
                Property("verify-peer", "bool"),
                *_strings("dir"),
                Property("endpoint", "QCryptoTLSCredsEndpoint"),
                *_strings("priority"),
            ),
        ),
        ObjectType("tls-creds-anon", "tls-creds", is_creatable=True),
        ObjectType("tls-creds-psk", "tls-creds", is_creatable=True, own=_strings("username")),
        ObjectType(
            "tls-creds-x509",
            "tls-creds",
            is_creatable=True,
            own=(Property("sanity-check", "bool"), *_strings("passwordid")),
        ),
        ObjectType("authz", "object", is_abstract=True),
        ObjectType("authz-simple", "authz", is_creatable=True, own=_strings("identity")),
        ObjectType(
            "authz-list",
            "authz",
            is_creatable=True,
            own=(Property("policy", "QAuthZListPolicy"), Property("rules", "QAuthZListRule")),
        ),
        ObjectType("monitor", "object", is_abstract=True),
        ObjectType(
            "monitor-qmp",
            "monitor",
            is_creatable=True,
            own=(
                *_strings("chardev"),
                Property("pretty", "bool"),
                Property("close-action", "MonitorQMPCloseAction"),
            ),
        ),
        ObjectType("chardev", "object", is_abstract=True),
        ObjectType("chardev-fd", "chardev", is_abstract=True),
        *(ObjectType(f"chardev-{kind}", "chardev-fd") for kind in ("file", "pipe", "stdio")),
        *(ObjectType(f"chardev-{kind}", "chardev") for kind in ("null", "pty", "ringbuf", "socket")),
        ObjectType("chardev-memory", "chardev-ringbuf"),
    )
)
"""The types that there are in any server; QEMU has more."""
