"""What the options' values mean, where the recorded lines cannot show it."""

import pytest

from qmpserver.__main__ import run
from qmpserver.cli.command_line import Tool
from qmpserver.cli.nbd.values import offset_of, read_options

TOOL = Tool("qemu-nbd", "qemu-nbd", "")


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("0", 0),
        ("010", 8),
        ("0x200", 512),
        ("9223372036854775807", (1 << 63) - 1),
        ("-1", -1),
        ("18446744073709551615", -1),
    ],
)
def test_an_offset_wraps_around_as_in_c(text: str, offset: int) -> None:
    assert offset_of(read_options(TOOL, ["-o", text, "image"])) == offset


@pytest.mark.parametrize("words", [["-c", "/dev/nbd0", "image"], ["-d", "/dev/nbd0"]])
def test_devices_of_the_kernel_are_refused_by_name(
    words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("qmpserver", ["nbd", *words]) == 1
    option = {"-c": "connect", "-d": "disconnect"}[words[0]]
    assert capfd.readouterr().err == (
        f"qmpserver nbd: --{option} is not supported: it needs the NBD client of the kernel\n"
    )


def test_it_goes_by_the_name_it_was_called_by(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("qmpserver", ["nbd"]) == 1
    assert capfd.readouterr().err == (
        "qmpserver nbd: Invalid number of arguments\nTry `qmpserver nbd --help' for more information.\n"
    )
