"""Change drives and their media: ``eject``, ``change``, ``drive_add``, ``drive_del``, ``block_resize`` and others."""

from qmpserver.errors import ParameterError, QMPError
from qmpserver.machine.hmp.command import Arguments, HumanCommand, calling
from qmpserver.machine.hmp.parameters import Kind, device, flag, optional, text
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.machine.media.legacy_options import INTERFACES
from qmpserver.options import keyval
from qmpserver.options.flat_options import split_pairs
from qmpserver.options.option_list import nested

_LIMITS = ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")
_READ_ONLY_MODES = ("retain", "read-only", "read-write")


async def _change(session: HumanSession, arguments: Arguments) -> str:
    mode = arguments.get("read-only-mode")
    if mode is not None and mode not in _READ_ONLY_MODES:
        raise ParameterError(f"invalid parameter value: {mode}")
    if arguments["device"] == "vnc":
        raise QMPError(
            "Expected 'password' after 'vnc'" if arguments["target"] != "password" else "VNC is not served"
        )
    wanted = {
        "device": arguments["device"],
        "filename": arguments["target"],
        "format": arguments.get("format"),
        "read-only-mode": mode,
        "force": arguments["force"],
    }
    await session.call("blockdev-change-medium", wanted)
    return ""


async def _drive_add(session: HumanSession, arguments: Arguments) -> str:
    if arguments["node"]:
        await _add_node(session, arguments["opts"])
        return ""
    pairs, _ = split_pairs(arguments["opts"], None, lambda _what, _instead: None)
    drives, given = session.machine.drives, dict(pairs)
    if drives.named(given.get("id", "")) is not None:
        return f"Duplicate ID '{given['id']}' for drive\n"
    async with session.machine.graph.lock:
        drive = await drives.add_legacy(given)
        interface = drive.place.interface if drive.place is not None else "none"
        if interface != "none":
            await drives.remove(drive)
            raise QMPError(f"Can't hot-add drive to type {INTERFACES.index(interface)}")
    return "OK\n"


async def _add_node(session: HumanSession, written: str) -> None:
    options = nested(_leaves(keyval.parse(written, None).tree))
    if "node-name" not in options:
        raise QMPError("'node-name' needs to be specified")
    described = session.machine.schema.type("BlockdevOptions")
    await session.call("blockdev-add", described.from_keyval(options))


def _leaves(tree: keyval.Tree, prefix: str = "") -> dict[str, str]:
    """Return the values of a tree by their dotted names."""
    if not isinstance(tree, dict):
        return {prefix: str(tree)}
    found: dict[str, str] = {}
    for key, value in tree.items():
        found |= _leaves(value, f"{prefix}.{key}" if prefix else key)
    return found


async def _drive_del(session: HumanSession, arguments: Arguments) -> str:
    machine, name = session.machine, arguments["id"]
    if machine.graph.get(name) is not None:
        await session.call("blockdev-del", {"node-name": name})
        return ""
    async with machine.graph.lock:
        await machine.drives.delete(machine.drives.find(device=name))
    return ""


COMMANDS = (
    HumanCommand(
        "block_resize",
        calling("block_resize"),
        "change the size of an image",
        "device size",
        (device(), text("size", Kind.SIZE)),
    ),
    HumanCommand(
        "block_set_io_throttle",
        calling("block_set_io_throttle"),
        "change the limits of a drive",
        "device bps bps_rd bps_wr iops iops_rd iops_wr",
        (device(), *(text(name, Kind.LONG) for name in _LIMITS)),
    ),
    HumanCommand(
        "change",
        _change,
        "put another medium in (-f: overrule the guest)",
        "device [-f] filename [format [read-only-mode]]",
        (
            device(),
            flag("force", "f"),
            text("target", Kind.FILENAME),
            optional("format"),
            optional("read-only-mode"),
        ),
    ),
    HumanCommand(
        "drive_add",
        _drive_add,
        "make a drive, or with -n a node",
        """\
[-n] [[<domain>:]<bus>:]<slot>
[file=file][,if=type][,bus=n]
[,unit=m][,media=d][,index=i]
[,snapshot=on|off][,cache=on|off]
[,readonly=on|off][,copy-on-read=on|off]""",
        (flag("node", "n"), text("pci_addr"), text("opts")),
    ),
    HumanCommand(
        "drive_del", _drive_del, "take a drive from its device, or delete a node", "device", (device("id"),)
    ),
    HumanCommand(
        "eject",
        calling("eject"),
        "take the medium out (-f: overrule the guest)",
        "[-f] device",
        (flag("force", "f"), device()),
    ),
)
