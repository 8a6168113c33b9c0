"""Read and make image names: plain paths, ``driver:`` and ``json:`` names, names beside an overlay."""

import json
import posixpath
import re
from typing import Any

from qmpserver.block.hash_order import ordered
from qmpserver.block.view import NodeView
from qmpserver.driver_api.device_probing import device_driver
from qmpserver.errors import QMPError
from qmpserver.nbd import names as nbd_names

_PROTOCOL = re.compile(r"[A-Za-z0-9+.\-_]+:")
_JSON_PREFIX = "json:"
_OF_PATHS = ("file", "host_device", "host_cdrom")
"""Protocols whose name before the colon is followed by a path."""


def has_protocol(filename: str) -> bool:
    """Say whether a name begins with ``protocol:``.  A colon after a slash is part of a path."""
    return _PROTOCOL.match(filename) is not None


def full_backing_filename(overlay_filename: str, backing_filename: str) -> str:
    """Return the name that opens a backing file, given the overlay's own name.

    A relative path is meant relative to the overlay's folder.
    """
    if has_protocol(backing_filename) or backing_filename.startswith("/"):
        return backing_filename
    if has_protocol(overlay_filename):
        prefix, _, path = overlay_filename.partition(":")
        return f"{prefix}:{_beside(path, backing_filename)}"
    return _beside(overlay_filename, backing_filename)


def name_to_store(node: NodeView, filename: str) -> str:
    """Return `filename`, as seen from here, as `node`'s image must store it to find it again.

    QEMU: it stores a relative name as it is, which leads astray from an overlay in another folder.
    """
    own = image_filename_of(node)
    return filename if own is None else relative_to_store(own, filename)


def relative_to_store(overlay_filename: str, backing_filename: str) -> str:
    """Return a backing file's name so that :func:`full_backing_filename` leads back to the file."""
    if has_protocol(backing_filename) or backing_filename.startswith("/"):
        return backing_filename
    folder = posixpath.dirname(overlay_filename)
    if not folder:
        return backing_filename
    if folder.startswith("/"):
        return posixpath.abspath(backing_filename)
    return posixpath.relpath(backing_filename, folder)


def backing_filename_of(node: NodeView, backing_filename: str) -> str:
    """Return the name that opens a backing file which `node`'s image names.

    Raises:
        QMPError: The name is relative, and `node`'s own name does not tell to what.
    """
    if has_protocol(backing_filename) or backing_filename.startswith("/"):
        return backing_filename
    own = _storage_filename_of(node)
    if own is None:
        raise QMPError(f"Cannot use relative backing file names for '{filename_of(node)}'")
    return full_backing_filename(own, backing_filename)


def opened_as(node: NodeView, backing_filename: str) -> str:
    """Return the plain name that a backing file which `node`'s image names goes by once it is open."""
    try:
        full_name = backing_filename_of(node, backing_filename)
        options = filename_options(full_name, None)
    except QMPError:
        return backing_filename
    file = options.get("file")
    is_plain = options.keys() <= {"driver", "file"} and isinstance(file, dict) and "filename" in file
    return str(file["filename"]) if is_plain and isinstance(file, dict) else full_name


def _beside(path: str, relative: str) -> str:
    folder = posixpath.dirname(path)
    if not folder:
        return relative
    return f"{folder}{'' if folder.endswith('/') else '/'}{relative}"


def filename_options(filename: str, driver: str | None) -> dict[str, Any]:
    """Turn an image name, as stored in an overlay, into ``blockdev-add`` options.

    Args:
        filename: A path, a ``file:`` or other ``driver:`` name, or a ``json:`` name.
        driver: The format, or None when it is to be probed.

    Raises:
        QMPError: The name cannot be understood.
    """
    if filename.startswith(_JSON_PREFIX):
        options = _json_options(filename)
        if driver is not None:
            options.setdefault("driver", driver)
        return options
    options = {"file": protocol_options(filename)}
    if driver is not None:
        options["driver"] = driver
    return options


def _json_options(filename: str) -> dict[str, Any]:
    import orjson  # noqa: PLC0415 - few names are so long

    try:
        options = orjson.loads(filename.removeprefix(_JSON_PREFIX))
    except orjson.JSONDecodeError as error:
        raise QMPError(f"Could not parse the JSON options: {error}") from error
    if not isinstance(options, dict):
        raise QMPError("Invalid JSON object given")
    return _nested(options)


def _nested(options: dict[str, Any]) -> dict[str, Any]:
    """Turn dotted keys, which QEMU allows in ``json:`` names, into nested objects."""
    result: dict[str, Any] = {}
    for key, value in options.items():
        place = result
        *path, last = key.split(".")
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise QMPError(f"Cannot mix scalar and non-scalar keys at '{key}'")
        if last in place:
            raise QMPError(f"Cannot mix scalar and non-scalar keys at '{key}'")
        place[last] = _nested(value) if isinstance(value, dict) else value
    return {key: _with_protocol(value) for key, value in result.items()}


def _with_protocol(value: Any) -> Any:
    """Name the protocol of a child that a ``json:`` name describes by a file name alone: a path, as it stands."""
    if not isinstance(value, dict) or "driver" in value or not isinstance(value.get("filename"), str):
        return value
    return {**path_options(value["filename"]), **value}


def path_options(filename: str) -> dict[str, Any]:
    """Turn a path, whatever it looks like, into the options of its protocol node."""
    return {"driver": device_driver(filename) or "file", "filename": filename}


def protocol_options(filename: str) -> dict[str, Any]:
    """Turn a name without a format into the options of its protocol node.

    Raises:
        QMPError: There is no such protocol here.
    """
    if not has_protocol(filename):
        return path_options(filename)
    protocol, _, rest = filename.partition(":")
    if protocol in _OF_PATHS:
        return {"driver": protocol, "filename": rest}
    if protocol in ("null-co", "null-aio"):
        if rest != "//":
            raise QMPError(f"The only allowed filename for this driver is '{protocol}://'")
        return {"driver": protocol}
    if protocol in nbd_names.SCHEMES:
        return nbd_names.parse_filename(filename)
    if protocol == "blkdebug":
        return _blkdebug_options(rest)
    if protocol == "blkverify":
        return _blkverify_options(rest)
    raise QMPError(f"Unknown protocol '{protocol}'")


def _blkdebug_options(rest: str) -> dict[str, Any]:
    """Read ``blkdebug:CONFIG:IMAGE``, where there need be no CONFIG."""
    config, colon, image = rest.partition(":")
    if not colon:
        raise QMPError("blkdebug requires both config file and image path")
    options = {"driver": "blkdebug", "image": protocol_options(image)}
    return {**options, "config": config} if config else options


def _blkverify_options(rest: str) -> dict[str, Any]:
    """Read ``blkverify:RAW:TEST``, where RAW has no colon of its own."""
    raw, colon, test = rest.partition(":")
    if not colon:
        raise QMPError("blkverify requires raw copy and original image path")
    return {"driver": "blkverify", "raw": protocol_options(raw), "test": {"file": protocol_options(test)}}


class Names:
    """The names of nodes, each worked out once.  Good for as long as nothing changes in the graph.

    What a node is called depends on what its backing node is called: asked one by one, the names of a long
    chain would be worked out over and over.
    """

    def __init__(self) -> None:
        self._exact: dict[NodeView, str | None] = {}
        self._full: dict[NodeView, str] = {}

    def filename(self, node: NodeView) -> str:
        """Return the name that opens the node again: plain where that says all, else ``json:``."""
        exact = self.exact_filename(node)
        if exact is not None:
            return exact
        name = self._full.get(node)
        if name is None:
            options = json.dumps(ordered(self.full_open_options(node)), ensure_ascii=False)
            name = self._full[node] = _JSON_PREFIX + options
        return name

    def exact_filename(self, node: NodeView) -> str | None:
        """Return the plain name that opens the node again, or None when no plain name says all."""
        if node not in self._exact:
            # From below, so that the chain's length is not bounded by the stack.
            for each in reversed(self._unknown(node)):
                self._exact[each] = self._work_out(each)
        return self._exact[node]

    def _unknown(self, node: NodeView) -> list[NodeView]:
        """Return `node` and what its chain has below it, down to what is known."""
        found: list[NodeView] = []
        below: NodeView | None = node
        while below is not None and below not in self._exact:
            found.append(below)
            below = below.filtered or below.backing
        return found

    def _work_out(self, node: NodeView) -> str | None:
        driver = node.driver
        if _goes_unnamed(node):
            filtered = node.filtered
            return self.exact_filename(filtered) if filtered is not None else None
        if driver.is_protocol or driver.is_filter:
            return driver.exact_filename
        return None if self.backing_overridden(node) else self.image_filename(node)

    def image_filename(self, node: NodeView) -> str | None:
        """Return the plain name of the image a format node is stored in, whatever backs it, or None."""
        file = node.children.get("file")
        if file is None or file.node.driver.exact_filename is None or _own_strong_options(node):
            return None
        return self.exact_filename(file.node)

    def full_open_options(self, node: NodeView) -> dict[str, Any]:
        """Return the options that decide what data the node shows."""
        if _goes_unnamed(node) and node.filtered is not None:
            return self.full_open_options(node.filtered)
        options: dict[str, Any] = {"driver": node.driver.format_name, **_own_strong_options(node)}
        for name, edge in node.children.items():
            option, _, index = name.partition(".")
            if index:
                options.setdefault(option, []).append(self.full_open_options(edge.node))
            elif name != "backing":
                options[name] = self.full_open_options(edge.node)
        if node.driver.supports_backing and self.backing_overridden(node):
            backing = node.backing
            options["backing"] = self.full_open_options(backing) if backing is not None else None
        return options

    def backing_overridden(self, node: NodeView) -> bool:
        """Say whether the backing node is another than the one the image names."""
        if not node.driver.supports_backing:
            return False
        backing = node.backing
        named = node.auto_backing_filename
        if backing is None:
            return named is not None
        return named is None or named != self.filename(backing)


def filename_of(node: NodeView) -> str:
    """Return the name that opens the node again; see :meth:`Names.filename`."""
    return Names().filename(node)


def image_filename_of(node: NodeView) -> str | None:
    """Return the plain name of a format node's image, or None; see :meth:`Names.image_filename`."""
    return Names().image_filename(node)


def backing_overridden(node: NodeView) -> bool:
    """Say whether the backing node is another than the one the image names."""
    return Names().backing_overridden(node)


def _storage_filename_of(node: NodeView) -> str | None:
    """Return the plain name of what a format node's image is stored in, whatever filters are between."""
    file = node.children.get("file")
    if file is None:
        return None
    below = file.node
    while (filtered := below.filtered) is not None:
        below = filtered
    return below.driver.exact_filename if below.driver.is_protocol else None


def _goes_unnamed(node: NodeView) -> bool:
    """Say whether a filter has the name of what it filters."""
    return node.is_implicit or node.driver.bears_name_of_filtered


def _own_strong_options(node: NodeView) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key in node.driver.strong_options:
        outer, _, member_name = key.partition(".")
        value = node.options.get(outer)
        if member_name and value is not None:
            value = value.get(member_name)
        if isinstance(value, list):
            # QEMU: writes a list's members out one by one.
            for index, member in enumerate(value):
                options |= {f"{key}.{index}.{name}": inner for name, inner in member.items()}
        elif value is not None:
            options[key] = value
    return options
