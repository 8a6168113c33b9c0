"""Read and make names of exports: ``nbd://HOST:PORT/EXPORT``, ``nbd+unix:///EXPORT?socket=PATH``, ``nbd:HOST:PORT``.

Source: the NBD project's URI specification; the older forms as QEMU's manual has them.
"""

from collections.abc import Mapping
from typing import Any

from qmpserver.errors import QMPError

DEFAULT_PORT = "10809"

SCHEMES = {"nbd": "inet", "nbd+tcp": "inet", "nbd+unix": "unix"}
"""What a name may begin with, and the kind of address that follows."""


def parse_filename(filename: str) -> dict[str, Any]:
    """Return the options of the node that a name stands for.

    Raises:
        QMPError: It is malformed.
    """
    scheme, _, rest = filename.partition(":")
    if rest.startswith("//"):
        return _parse_uri(filename, scheme)
    if scheme != "nbd":
        raise QMPError("No valid URL specified")
    return _parse_older(rest)


def _parse_uri(filename: str, scheme: str) -> dict[str, Any]:
    from urllib.parse import parse_qsl, unquote, urlsplit  # noqa: PLC0415 - few names need it

    no_use = QMPError("No valid URL specified")
    if scheme not in SCHEMES:
        raise no_use
    try:
        uri = urlsplit(filename)
        port = uri.port
        query = parse_qsl(uri.query, keep_blank_values=True, strict_parsing=bool(uri.query))
    except ValueError as error:
        raise no_use from error
    options: dict[str, Any] = {"driver": "nbd"}
    export = unquote(uri.path.removeprefix("/"))
    if export:
        options["export"] = export
    if SCHEMES[scheme] == "unix":
        if uri.netloc or [name for name, _ in query] != ["socket"]:
            raise no_use
        options["server"] = {"type": "unix", "path": query[0][1]}
        return options
    if query or not uri.hostname:
        raise no_use
    options["server"] = {"type": "inet", "host": uri.hostname, "port": str(port or DEFAULT_PORT)}
    return options


def _parse_older(rest: str) -> dict[str, Any]:
    options: dict[str, Any] = {"driver": "nbd"}
    address, found, export = rest.partition(":exportname=")
    if found:
        if not export:
            raise QMPError("NBD server address missing")
        options["export"] = export
    if address.startswith("unix:"):
        options["server"] = {"type": "unix", "path": address.removeprefix("unix:")}
        return options
    host, colon, port = address.rpartition(":")
    if not colon:
        raise QMPError(f"error parsing address '{address}'")
    host = host.removeprefix("[").removesuffix("]")
    options["server"] = {"type": "inet", "host": host, "port": port}
    return options


def make_filename(server: Mapping[str, Any], export: str | None) -> str | None:
    """Return the name that stands for an export, or None when none does."""
    from urllib.parse import quote  # noqa: PLC0415 - few names need it

    path = "/" + quote(export, safe="/") if export else ""
    if server["type"] == "unix":
        return f"nbd+unix://{path}?socket={server['path']}"
    if server["type"] == "inet":
        host = f"[{server['host']}]" if ":" in server["host"] else server["host"]
        return f"nbd://{host}:{server['port']}{path}"
    return None
