"""Properties are declared in words, and read from JSON and from text with QEMU's refusals."""

from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.devices.properties import DeviceProperty, parse_devfn, parse_properties


def prop(words: str) -> DeviceProperty:
    (parsed,) = parse_properties(words)
    return parsed


@pytest.mark.parametrize(
    ("words", "type_name", "default"),
    [
        ("serial:str", "str", None),
        ("share-rw:bool=off", "bool", False),
        ("num-queues:uint16=65535", "uint16", 65535),
        ("rerror:on-error=auto", "BlockdevOnError", "auto"),
        ("logical_block_size:blocksize=0", "size", 0),
        ("addr:devfn=-1", "str", -1),
        ("iothread:link<iothread>", "link<iothread>", None),
        ("stats-intervals:list=", "list", []),
        ("x-speed:PCIELinkSpeed=16", "PCIELinkSpeed", "16"),
    ],
)
def test_a_declaration_is_taken_apart(words: str, type_name: str, default: Any) -> None:
    assert (prop(words).type_name, prop(words).default) == (type_name, default)


@pytest.mark.parametrize(
    ("words", "text", "value"),
    [
        ("p:bool", "on", True),
        ("p:bool", "no", False),
        ("p:uint32", "0x10", 16),
        ("p:int32", "-1", -1),
        ("p:size", "4k", 4096),
        ("p:str", "any, thing", "any, thing"),
        ("p:auto", "auto", "auto"),
        ("p:drive", "n", "n"),
        ("p:link<iothread>", "io", "io"),
    ],
)
def test_text_is_read(words: str, text: str, value: Any) -> None:
    assert prop(words).from_text(text) == value


@pytest.mark.parametrize(
    ("words", "value", "text"),
    [
        ("p:bool", "on", "Invalid parameter type for 'p', expected: boolean"),
        ("p:str", 1, "Invalid parameter type for 'p', expected: string"),
        ("p:drive", None, "Invalid parameter type for 'p', expected: string"),
        ("p:uint16", 65536, "Parameter 'p' expects uint16_t"),
        ("p:auto", "maybe", "Parameter 'p' does not accept value 'maybe'"),
        ("p:devfn", [], "Invalid parameter type for 'p', expected int or str"),
        ("p:devfn", True, "Invalid parameter type for 'p', expected int or str"),
        ("p:devfn", 1.5, "Invalid parameter type for 'p', expected: integer"),
        ("p:devfn", 1 << 31, "Parameter 'p' expects int32_t"),
        ("p:devfn", 256, "Parameter 'p' expects a value between -1 and 255"),
        ("p:devfn", -2, "Parameter 'p' expects a value between -1 and 255"),
    ],
)
def test_json_of_a_wrong_type_is_refused(words: str, value: Any, text: str) -> None:
    with pytest.raises(QMPError, match=text):
        prop(words).from_json(value)


@pytest.mark.parametrize(
    ("words", "written", "text"),
    [
        ("p:bool", "maybe", "Parameter 'p' expects 'on' or 'off'"),
        ("p:uint8", "256", "Parameter 'p' expects uint8_t"),
        ("p:uint8", "x", "Parameter 'p' expects integer"),
        ("p:size", "x", "Parameter 'p' expects size"),
    ],
)
def test_text_that_is_no_value_is_refused(words: str, written: str, text: str) -> None:
    with pytest.raises(QMPError, match=text):
        prop(words).from_text(written)


@pytest.mark.parametrize(
    ("written", "devfn"), [("0", 0), ("0x2", 16), ("1f.7", 255), ("3.1", 25), ("06", 48)]
)
def test_a_place_on_pci_is_slot_and_function(written: str, devfn: int) -> None:
    assert parse_devfn("e1000", "addr", written) == devfn


@pytest.mark.parametrize("written", ["", "20", "1.8", "1.", "-1", "x", "1.1.1"])
def test_what_is_no_place_on_pci_is_refused(written: str) -> None:
    with pytest.raises(QMPError, match=f"Property 'e1000.addr' doesn't take value '{written}'"):
        parse_devfn("e1000", "addr", written)
