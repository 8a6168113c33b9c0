"""A machine's command line is split and read as QEMU does."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from qmpserver.cli.machine.board import make_config
from qmpserver.cli.machine.options import OTHER_TARGETS, TAKES_ARGUMENT, split
from qmpserver.cli.machine.reading import read
from qmpserver.cli.machine.texts import help_text
from qmpserver.cli.machine.wanted import Wanted
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.option_error import OptionError
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.run_state import Actions
from qmpserver.options.getopt import STRAY, UsageError

REPORTER = Reporter("program")


def wanted(*words: str) -> Wanted:
    return read(split(words), REPORTER)


def config(*words: str) -> MachineConfig:
    return make_config(wanted(*words), REPORTER)


def test_help_names_every_option() -> None:
    shown = set(re.findall(r"[-|]([A-Za-z][\w-]*)", help_text()))
    assert TAKES_ARGUMENT.keys() - OTHER_TARGETS <= shown


@pytest.mark.parametrize("option", ["smp", "boot", "rtc", "msg", "overcommit", "action", "audio"])
def test_an_option_with_parameters_lists_them(option: str) -> None:
    answer = wanted(f"-{option}", "help").answer
    assert answer is not None
    assert answer.splitlines()[1:]


def test_what_only_a_running_guest_would_notice_is_recorded() -> None:
    words = ["-fw_cfg", "opt/x,string=y", "-icount", "shift=3,sleep=off", "-vnc", "none", "-full-screen"]
    assert config(*words).recorded["icount"] == ("shift=3,sleep=off",)


@pytest.mark.parametrize("dashes", ["-", "--"])
def test_a_name_has_one_dash_or_two(dashes: str) -> None:
    first, second = split([f"{dashes}m", "64", f"{dashes}S"])
    assert (first.name, first.value, first.written) == ("m", "64", f"{dashes}m 64")
    assert (second.name, second.value, second.written) == ("S", "", f"{dashes}S")


def test_a_word_that_is_no_option_is_a_disk() -> None:
    assert [(option.name, option.value) for option in split(["a.img", "-"])] == [
        (STRAY, "a.img"),
        (STRAY, "-"),
    ]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-mach", "pc"], "-mach: invalid option"),
        (["-m=64"], "-m=64: invalid option"),
        (["-S", "-m"], "-m: requires an argument"),
    ],
)
def test_a_name_is_whole_and_its_argument_a_word_of_its_own(words: Sequence[str], complaint: str) -> None:
    with pytest.raises(UsageError, match=f"^{complaint}$"):
        split(words)


def test_later_words_of_the_board_count() -> None:
    found = config("-machine", "pc,usb=on", "-M", "q35", "-machine", "usb=off")
    assert found.machine_type == "pc-q35-11.1"
    assert found.board_options["usb"] == "off"


@pytest.mark.parametrize(
    ("text", "size"),
    [("64", 64 << 20), ("size=64", 64 << 20), ("64M", 64 << 20), ("1G", 1 << 30), ("0", 128 << 20)],
)
def test_memory_without_a_unit_is_in_megabytes(text: str, size: int) -> None:
    assert config("-m", text).memory.size == size


def test_a_device_may_take_a_while_to_go() -> None:
    assert config("-machine", "pc,x-unplug-delay-ms=1500").unplug_delay_ns == 1_500_000_000
    assert config().unplug_delay_ns == 0


@pytest.mark.parametrize("written", ["-1", "x", "1.5", "", "\u0663", "86400001"])
def test_a_delay_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(OptionError, match="'x-unplug-delay-ms' expects a number from 0 to 86400000"):
        config("-machine", f"pc,x-unplug-delay-ms={written}")


def test_memory_may_be_added_to() -> None:
    memory = config("-m", "64,slots=2,maxmem=1G").memory
    assert (memory.size, memory.slots, memory.max_size) == (64 << 20, 2, 1 << 30)


@pytest.mark.parametrize(
    ("words", "actions"),
    [
        ([], Actions()),
        (["-no-shutdown", "-no-reboot"], Actions(shutdown="pause", reboot="shutdown")),
        (["-action", "panic=none,watchdog=pause"], Actions(panic="none", watchdog="pause")),
        (["-no-shutdown", "-action", "shutdown=poweroff"], Actions()),
        (["-watchdog-action", "debug"], Actions(watchdog="debug")),
    ],
)
def test_what_is_to_follow_is_said_in_several_ways(words: Sequence[str], actions: Actions) -> None:
    assert config(*words).actions == actions


def test_options_without_an_effect_are_recorded_as_written() -> None:
    found = config("-msg", "timestamp=on", "-sandbox", "on", "-k", "de", "-msg", "guest-name=on")
    assert found.recorded["msg"] == ("timestamp=on", "guest-name=on")
    assert found.recorded["k"] == ("de",)


def test_settings_are_written_in_two_ways() -> None:
    found = config("-global", "a.b=c", "-global", "driver=d,property=e,value=f")
    assert found.settings == (("a", "b", "c"), ("d", "e", "f"))


def test_a_text_ends_the_reading() -> None:
    found = wanted("-version", "-m", "bogus")
    assert found.answer is not None
    assert found.answer.startswith("QEMU emulator version 11.1.2 (qmpserver ")


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("-machine", "pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-11.1)"),
        ("-cpu", "  Broadwell-IBRS        (alias of Broadwell-v3)"),
        ("-accel", "tcg"),
        ("-vga", "cirrus               Cirrus VGA"),
    ],
)
def test_help_lists_what_there_is(word: str, line: str) -> None:
    answer = wanted(word, "help").answer
    assert answer is not None
    assert line in answer.splitlines()


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ([], "qemu64"),
        (["-machine", "isapc"], "486"),
        (["-machine", "none"], None),
        (["-cpu", "Haswell-noTSX,+aes,-sse4_2,level=0xd,vendor=GenuineIntel,check"], "Haswell-noTSX"),
    ],
)
def test_a_board_has_processors_of_some_model(words: Sequence[str], model: str | None) -> None:
    assert config(*words).cpu_model == model


@pytest.mark.parametrize(
    ("text", "board", "arranged"),
    [
        ("4", "pc", (4, 4, 1, 1, 4, 1)),
        ("4", "pc-i440fx-6.1", (4, 4, 4, 1, 1, 1)),
        ("6,maxcpus=12", "q35", (6, 12, 1, 1, 12, 1)),
        ("8,threads=2", "q35", (8, 8, 1, 1, 4, 2)),
        ("8,cores=4", "q35", (8, 8, 2, 1, 4, 1)),
        ("4,sockets=2,dies=2", "q35", (4, 4, 2, 2, 1, 1)),
        ("cores=2,threads=2", "q35", (4, 4, 1, 1, 2, 2)),
        ("maxcpus=4", "q35", (4, 4, 1, 1, 4, 1)),
        ("0x10", "q35", (16, 16, 1, 1, 16, 1)),
    ],
)
def test_processors_are_arranged_as_qemu_arranges_them(
    text: str, board: str, arranged: tuple[int, ...]
) -> None:
    found = config("-machine", board, "-smp", text).topology
    assert (found.cpus, found.max_cpus, found.sockets, found.dies, found.cores, found.threads) == arranged


def test_the_first_accelerator_that_there_is_is_taken(capfd: pytest.CaptureFixture[str]) -> None:
    assert config("-machine", "accel=bogus:tcg").accelerator == "tcg"
    assert capfd.readouterr().err == "program: invalid accelerator bogus\nprogram: falling back to tcg\n"


CONFIG = """\
# a comment

[chardev "c"]
  backend = "socket"
  path = "a,b"
[memory]
  size = "32"
"""


def test_a_file_says_what_options_say(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(CONFIG)
    found = wanted("-readconfig", str(tmp_path / "config"), "-set", "chardev.c.server=on")
    (chardev,) = found.of("chardev")
    assert chardev.value == "id=c,backend=socket,path=a,,b,server=on"
    assert found.memory["size"] == 32 << 20


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('a = "b"', "no group defined"),
        ('[device "a"]\nb', "parse error"),
        ('[device "a"]\nb="c"', "parse error"),
        ("[bogus]", "There is no option group 'bogus'"),
        ('[memory]\nfoo = "1"', "Invalid parameter 'foo'"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(OptionError, match=f"^{complaint}$") as caught:
        wanted("-readconfig", str(path))
    assert caught.value.about == f"-readconfig {path}"


def test_what_goes_to_the_background_has_no_terminal() -> None:
    with pytest.raises(OptionError, match="-nographic cannot be used with -daemonize"):
        wanted("-nographic", "-daemonize")
    assert wanted("-nographic", "-daemonize", "-nodefaults").daemonize
    assert wanted(
        "-nographic", "-daemonize", "-serial", "null", "-parallel", "null", "-qmp", "null"
    ).daemonize
