"""Keep the objects that users create beside the graph: secrets, I/O threads, throttle groups."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from qmpserver.block.graph import is_well_formed
from qmpserver.clock import Clock, SystemClock
from qmpserver.errors import QMPError

if TYPE_CHECKING:  # what makes objects is imported when the first of them is made
    from qmpserver.qom.authz import Authorization
    from qmpserver.qom.tls_creds import TlsCredentials
    from qmpserver.qom.user_object import UserObject
    from qmpserver.throttling.group import ThrottleGroup

Maker = Callable[[str, str, dict[str, Any]], "UserObject"]
"""Makes an object of its id, its type, and what else was said of it."""

_MAKERS = {
    "iothread": "iothread:IOThread",
    "secret": "secret:make_secret",
    "throttle-group": "throttle_group:make_throttle_group",
    "authz-list": "authz:ListAuthorization",
    "authz-simple": "authz:SimpleAuthorization",
    "tls-creds-anon": "tls_creds:make_credentials",
    "tls-creds-psk": "tls_creds:make_credentials",
    "tls-creds-x509": "tls_creds:make_credentials",
}
"""What makes our own types of object, in modules of :mod:`qmpserver.qom`."""

_USING_SECRETS = frozenset(("secret", "tls-creds-anon", "tls-creds-psk", "tls-creds-x509"))
"""Those whose makers look up secrets first."""


class ObjectStore:
    """All user-created objects, by id.

    Args:
        clock: What throttle groups tell the time by.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._objects: dict[str, UserObject] = {}
        self._clock: Clock = clock or SystemClock()
        self._makers: dict[str, Maker] = {}

    def add_maker(self, qom_type: str, maker: Maker) -> None:
        """Let objects of another type be made, by somebody who knows how."""
        self._makers[qom_type] = maker

    def _find_maker(self, qom_type: str) -> Maker | None:
        if qom_type not in self._makers and (target := _MAKERS.get(qom_type)) is not None:
            module, _, name = target.partition(":")
            maker = getattr(import_module(f"qmpserver.qom.{module}"), name)
            if qom_type in _USING_SECRETS:
                maker = partial(maker, self.secret)
            elif qom_type == "throttle-group":
                maker = partial(maker, self._clock)
            self._makers[qom_type] = maker
        return self._makers.get(qom_type)

    def items(self) -> "Mapping[str, UserObject]":
        """Return all objects by id, the oldest first."""
        return dict(self._objects)

    def add(self, options: dict[str, Any]) -> "UserObject":
        """Create an object.

        Args:
            options: As ``object-add`` takes them: `qom-type`, `id` and the type's own members.

        Raises:
            QMPError: The id is malformed or taken, the type is unknown, or a member's value is no use.
        """
        properties = dict(options)
        qom_type, object_id = properties.pop("qom-type"), properties.pop("id")
        if not is_well_formed(object_id):
            raise QMPError("Parameter 'id' expects an identifier")
        if object_id in self._objects:
            raise QMPError(f"attempt to add duplicate property '{object_id}' to object (type 'container')")
        maker = self._find_maker(qom_type)
        if maker is None:
            raise QMPError(f"Parameter 'qom-type' does not accept value '{qom_type}'")
        made = maker(object_id, qom_type, properties)
        self._objects[object_id] = made
        return made

    def remove(self, object_id: str) -> None:
        """Delete an object.

        Raises:
            QMPError: There is none of that id, or something needs it.
        """
        found = self._objects.get(object_id)
        if found is None:
            raise QMPError(f"object '{object_id}' not found")
        found.check_unused()
        del self._objects[object_id]
        found.deleted()

    def throttle_group(self, object_id: str) -> "ThrottleGroup":
        """Return the throttle group of that id.

        Raises:
            QMPError: There is none.
        """
        from qmpserver.qom.throttle_group import ThrottleGroupObject  # noqa: PLC0415 - see the module

        found = self._objects.get(object_id)
        if not isinstance(found, ThrottleGroupObject):
            raise QMPError(f"Throttle group '{object_id}' does not exist")
        return found.group

    def credentials(self, object_id: str, *, is_server: bool) -> "TlsCredentials":
        """Return the TLS credentials of that id, for one end of a connection.

        Raises:
            QMPError: There are none, or they are for the other end.
        """
        found = self._objects.get(object_id)
        if found is None:
            raise QMPError(f"No TLS credentials with id '{object_id}'")
        from qmpserver.qom.tls_creds import TlsCredentials  # noqa: PLC0415 - see the module

        if not isinstance(found, TlsCredentials):
            raise QMPError(f"Object with id '{object_id}' is not TLS credentials")
        if found.is_server != is_server:
            raise QMPError(f"Expecting TLS credentials with a {'server' if is_server else 'client'} endpoint")
        return found

    def authorization(self, object_id: str) -> "Authorization":
        """Return the object of that id that says who may come in.

        Raises:
            QMPError: There is none.
        """
        from qmpserver.qom.authz import Authorization  # noqa: PLC0415 - see the module

        found = self._objects.get(object_id)
        if not isinstance(found, Authorization):
            raise QMPError(f"Cannot find QAuthZ object ID {object_id}")
        return found

    def get(self, object_id: str) -> "UserObject | None":
        """Return the object of that id, or None."""
        return self._objects.get(object_id)

    def secret(self, object_id: str) -> bytes:
        """Return the bytes of a secret; the server's :data:`SecretSource`.

        Raises:
            QMPError: There is no object of that id, or it is no secret.
        """
        found = self._objects.get(object_id)
        if found is None:
            raise QMPError(f"No secret with id '{object_id}'")
        from qmpserver.qom.secret import Secret  # noqa: PLC0415 - see the module

        if not isinstance(found, Secret):
            raise QMPError(f"Object with id '{object_id}' is not a secret")
        return found.data
