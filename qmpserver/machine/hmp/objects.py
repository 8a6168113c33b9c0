"""Add, remove and look at objects and devices: ``device_add``, ``object_add``, ``qom-list`` and others."""

import json
from typing import Any

from qmpserver.errors import ParameterError, QMPError
from qmpserver.machine.devices import help as device_help
from qmpserver.machine.hmp.command import Arguments, HumanCommand, calling
from qmpserver.machine.hmp.parameters import Kind, flag, optional, text
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.numerals import integer
from qmpserver.options import structured
from qmpserver.options.flat_options import HELP_WORDS, boolean, split_pairs
from qmpserver.options.object_help import object_help


async def _device_add(session: HumanSession, arguments: Arguments) -> str:
    written = arguments.get("device", "")
    pairs, wants_help = split_pairs(written, "driver", lambda _what, _instead: None)
    options = dict(pairs)
    driver = options.get("driver", "")
    if driver in HELP_WORDS or (wants_help and not driver):
        return device_help.list_types() + "\n"
    if wants_help:
        return device_help.list_properties(driver) + "\n"
    if not driver:
        raise ParameterError("Parameter 'driver' is missing")
    await session.machine.devices.add(options, is_text=True)
    return ""


async def _object_add(session: HumanSession, arguments: Arguments) -> str:
    schema = session.machine.schema
    try:
        given = structured.parse(arguments["object"], "qom-type", lambda asked: object_help(schema, asked))
    except structured.HelpWanted as answer:
        return f"{answer}\n"
    await session.call("object-add", given.as_type(schema.type("ObjectOptions")))
    return ""


async def _qom_list(session: HumanSession, arguments: Arguments) -> str:
    path = arguments.get("path")
    if path is None:
        return "/\n"
    found = await session.call("qom-list", {"path": path})
    return "".join(f"{entry['name']} ({entry['type']})\n" for entry in found)


async def _qom_get(session: HumanSession, arguments: Arguments) -> str:
    value = await session.call("qom-get", dict(arguments))
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"


async def _qom_set(session: HumanSession, arguments: Arguments) -> str:
    path, name, written = arguments["path"], arguments["property"], arguments["value"]
    value = (
        structured.json_value(written)
        if arguments["json"]
        else await _from_text(session, path, name, written)
    )
    await session.call("qom-set", {"path": path, "property": name, "value": value})
    return ""


async def _from_text(session: HumanSession, path: str, name: str, written: str) -> Any:
    """Return a value of the property's type."""
    found = await session.call("qom-list", {"path": path})
    type_name = next((entry["type"] for entry in found if entry["name"] == name), "")
    if type_name == "bool":
        return boolean(name, written)
    if "int" in type_name or type_name == "size":
        number = integer(written)
        if number is None:
            raise ParameterError(f"Parameter '{name}' expects {'uint64' if type_name[0] == 'u' else 'int64'}")
        return number
    return written


async def _set_link(session: HumanSession, arguments: Arguments) -> str:
    del session
    # Nothing here has a link that could be cut.
    raise QMPError(f"Device '{arguments['name']}' not found")


COMMANDS = (
    HumanCommand(
        "device_add",
        _device_add,
        "add a device",
        "driver[,prop=value][,...]",
        (optional("device", Kind.REST),),
    ),
    HumanCommand("device_del", calling("device_del"), "tell a device to go", "device", (text("id"),)),
    HumanCommand(
        "object_add",
        _object_add,
        "make an object",
        "[qom-type=]type,id=str[,prop=value][,...]",
        (text("object", Kind.REST),),
    ),
    HumanCommand("object_del", calling("object-del"), "delete an object", "id", (text("id"),)),
    HumanCommand(
        "qom-get", _qom_get, "show a property of an object", "path property", (text("path"), text("property"))
    ),
    HumanCommand("qom-list", _qom_list, "list the properties of an object", "path", (optional("path"),)),
    HumanCommand(
        "qom-set",
        _qom_set,
        "change a property of an object (-j: the value is JSON)",
        "[-j] path property value",
        (flag("json", "j"), text("path"), text("property"), text("value", Kind.REST)),
    ),
    HumanCommand(
        "set_link",
        _set_link,
        "cut the link of a network device, of which none has one",
        "name on|off",
        (text("name"), text("up", Kind.SWITCH)),
    ),
)
