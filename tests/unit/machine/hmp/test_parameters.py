"""What stands behind a command is read by what it takes."""

import pytest

from qmpserver.machine.hmp.parameters import Kind, WrongArguments, device, flag, optional, read, text
from qmpserver.units import GiB, MiB

PARAMETERS = (flag("force", "f"), device(), optional("size", Kind.SIZE), optional("more"))

READ = [
    ("cd", {"force": False, "device": "cd"}),
    ("-f cd", {"force": True, "device": "cd"}),
    ("  -f   cd  ", {"force": True, "device": "cd"}),
    ("cd 2", {"force": False, "device": "cd", "size": 2 * MiB}),
    ("cd 1.5G x", {"force": False, "device": "cd", "size": 3 * GiB // 2, "more": "x"}),
    ("cd 0x10B", {"force": False, "device": "cd", "size": 0x10B * MiB}),
    ("cd 512b", {"force": False, "device": "cd", "size": 512}),
    (r'"a b\n\"c\"\\" 1k "x y"', {"force": False, "device": 'a b\n"c"\\', "size": 1024, "more": "x y"}),
]


@pytest.mark.parametrize(("line", "arguments"), READ)
def test_arguments_are_read_in_order(line: str, arguments: dict[str, object]) -> None:
    assert read(PARAMETERS, "eject", line) == arguments


REFUSED = [
    ("", "eject: block device name expected"),
    ("-x cd", "eject: unsupported option -x"),
    ("- cd", "eject: unsupported option - "),
    ("-ff cd", "invalid size"),
    ('"cd', "eject: block device name expected"),
    (r'"c\d"', "eject: block device name expected"),
    ("cd x", "invalid size"),
    ("cd 9999999999999999", "invalid size"),
    (f"cd {'9' * 5000}", "invalid size"),
    ("cd 1 x y", "eject: extraneous characters at the end of line"),
]


@pytest.mark.parametrize(("line", "complaint"), REFUSED)
def test_what_a_command_does_not_take_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(WrongArguments) as refused:
        read(PARAMETERS, "eject", line)
    assert str(refused.value) == complaint


def test_numbers_are_of_their_size() -> None:
    assert read((text("n", Kind.INTEGER),), "c", "0xffffffff") == {"n": 0xFFFFFFFF}
    with pytest.raises(WrongArguments, match="'c' has failed: integer is for 32-bit values"):
        read((text("n", Kind.INTEGER),), "c", "0x100000000")
    assert read((text("n", Kind.LONG),), "c", "1") == {"n": 1}
    assert read((text("n", Kind.MEGABYTES),), "c", "3") == {"n": 3 * MiB}
    with pytest.raises(WrongArguments, match="enter a positive value"):
        read((text("n", Kind.MEGABYTES),), "c", "-1")


def test_a_switch_is_on_or_off_and_the_rest_is_all_that_is_left() -> None:
    parameters = (text("up", Kind.SWITCH), text("rest", Kind.REST))
    assert read(parameters, "c", "on a  b ") == {"up": True, "rest": "a  b "}
    with pytest.raises(WrongArguments, match="Expected 'on' or 'off'"):
        read(parameters, "c", "maybe x")
    with pytest.raises(WrongArguments, match="c: string expected"):
        read(parameters, "c", "off  ")


def test_each_flag_may_be_left_out() -> None:
    parameters = (flag("reuse", "n"), flag("full", "f"), device())
    assert read(parameters, "c", "-f d") == {"reuse": False, "full": True, "device": "d"}
    assert read(parameters, "c", "-n -f d") == {"reuse": True, "full": True, "device": "d"}
    with pytest.raises(WrongArguments, match="extraneous"):
        read(parameters, "c", "-f -n d")
