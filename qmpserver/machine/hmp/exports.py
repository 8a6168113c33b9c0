"""Offer drives over NBD: ``nbd_server_*``."""

import contextlib
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.hmp.command import Arguments, HumanCommand, calling
from qmpserver.machine.hmp.parameters import device, flag, optional, text
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.options.inet_address import parse_inet


async def _start(session: HumanSession, arguments: Arguments) -> str:
    if arguments["writable"] and not arguments["all"]:
        raise QMPError("-w only valid together with -a")
    await session.call("nbd-server-start", {"addr": address(arguments["uri"])})
    if arguments["all"]:
        await _offer_all(session, writable=arguments["writable"])
    return ""


async def _offer_all(session: HumanSession, *, writable: bool) -> None:
    """Offer every drive with a medium; none when one cannot be."""
    try:
        for drive in await session.call("query-block"):
            if "inserted" in drive:
                await session.call("nbd-server-add", {"device": drive["device"], "writable": writable})
    except QMPError:
        with contextlib.suppress(QMPError):
            await session.call("nbd-server-stop")
        raise


def address(written: str) -> dict[str, Any]:
    """Return the address that ``host:port`` or ``unix:path`` names, as ``SocketAddressLegacy``.

    Raises:
        QMPError: It is none.
    """
    kind, _, rest = written.partition(":")
    if kind == "unix":
        return {"type": "unix", "data": {"path": rest}}
    if kind == "fd":
        return {"type": "fd", "data": {"str": rest}}
    return {"type": "inet", "data": parse_inet(rest if kind == "tcp" else written)}


async def _remove(session: HumanSession, arguments: Arguments) -> str:
    mode = "hard" if arguments["force"] else "safe"
    await session.call("nbd-server-remove", {"name": arguments["name"], "mode": mode})
    return ""


COMMANDS = (
    HumanCommand(
        "nbd_server_add",
        calling("nbd-server-add"),
        "offer a drive (-w: clients may write)",
        "nbd_server_add [-w] device [name]",
        (flag("writable", "w"), device(), optional("name")),
    ),
    HumanCommand(
        "nbd_server_remove",
        _remove,
        "take an offer back (-f: from clients too)",
        "nbd_server_remove [-f] name",
        (flag("force", "f"), text("name")),
    ),
    HumanCommand(
        "nbd_server_start",
        _start,
        "listen for NBD clients (-a: offer all drives; -w: clients may write)",
        "nbd_server_start [-a] [-w] host:port",
        (flag("all", "a"), flag("writable", "w"), text("uri")),
    ),
    HumanCommand("nbd_server_stop", calling("nbd-server-stop"), "listen no more", "nbd_server_stop"),
)
