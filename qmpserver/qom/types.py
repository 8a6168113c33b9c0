"""Know the types of objects: what each descends from, and which properties it has."""

from collections.abc import Iterator
from dataclasses import dataclass

from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.throttling.limits import MEMBERS


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a type.

    Attributes:
        name: Its name.
        type_name: The name of the type of its value.
    """

    name: str
    type_name: str


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A type of object.

    Attributes:
        name: Its name.
        parent: The type it descends from, or None.
        is_abstract: There are no objects of just this type.
        is_creatable: Users may make objects of it.
        own: Its properties beyond those of its parent.
    """

    name: str
    parent: str | None
    is_abstract: bool = False
    is_creatable: bool = False
    own: tuple[Property, ...] = ()


def _ints(*names: str) -> tuple[Property, ...]:
    return tuple(Property(name, "int") for name in names)


def _strings(*names: str) -> tuple[Property, ...]:
    return tuple(Property(name, "string") for name in names)


_INTERFACE = "interface"
"""The root of what objects may additionally be; no object descends from it."""

TYPES = {
    entry.name: entry
    for entry in (
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
}
"""The types that there are here; QEMU has more."""


def descends_from(name: str, ancestor: str) -> bool:
    """Say whether a type is, or descends from, another, or is creatable if that is what is asked."""
    if ancestor == "user-creatable" and TYPES[name].is_creatable:
        return True
    current: str | None = name
    while current is not None:
        if current == ancestor:
            return True
        current = TYPES[current].parent
    return False


def properties_of(name: str) -> list[Property]:
    """Return the properties of a type, those of its ancestors first.

    Raises:
        DeviceNotFound: There is no such type.
        QMPError: It is no type of object.
    """
    if name not in TYPES:
        raise DeviceNotFound(f"Class '{name}' not found")
    if descends_from(name, _INTERFACE):
        raise QMPError("Parameter 'typename' expects a QOM type")
    return [entry for ancestor in reversed([*_ancestry(name)]) for entry in ancestor.own]


def _ancestry(name: str | None) -> Iterator[ObjectType]:
    while name is not None:
        yield TYPES[name]
        name = TYPES[name].parent
