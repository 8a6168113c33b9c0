"""Say which protocol a file has of which only the name is given."""

from typing import Any

from qmpserver.block import filenames


def name_protocols(options: dict[str, Any]) -> None:
    """Name the protocol of each file below of which only the file name is given.

    QEMU: an NBD server may be named by flat options too, which ``blockdev-add`` does not know.

    Args:
        options: A node's options, files below it nested; they are changed in place.

    Raises:
        QMPError: There is no such protocol here.
    """
    if options.get("driver") == "nbd" and "server" not in options:
        _name_server(options)
    for name, below in options.items():
        if not isinstance(below, dict):
            continue
        if "driver" not in below and isinstance(below.get("filename"), str):
            options[name] = {**below, **filenames.protocol_options(below["filename"])}
        else:
            name_protocols(below)


def _name_server(options: dict[str, Any]) -> None:
    if "path" in options:
        options["server"] = {"type": "unix", "path": options.pop("path")}
    elif "host" in options:
        port = options.pop("port", "10809")
        options["server"] = {"type": "inet", "host": options.pop("host"), "port": port}
