"""Make the texts that options ask for."""

import re
from collections.abc import Iterable

from qmpserver.cli.machine.options import NOT_HERE, OTHER_TARGETS, TAKES_ARGUMENT
from qmpserver.machine.boards import BOARDS, Board, find_board
from qmpserver.machine.cpu_models import CPU_MODELS, CpuModel
from qmpserver.machine.option_parameters import board_parameters
from qmpserver.version import QEMU_VERSION, __version__

ACCELERATORS = "Accelerators supported in QEMU binary:\ntcg\nkvm\n"
DISPLAYS = "Available display backend types:\nnone\n"
ADAPTERS = """\
none                 no graphic card
std                  standard VGA (default)
cirrus               Cirrus VGA
vmware               VMWare SVGA
qxl                  QXL VGA
virtio               Virtio VGA
"""

_HELP = """\
usage: {program} [options] [disk_image]

A machine without a guest: its devices, their media and its run state, for QMP clients.
Options are QEMU's, with one dash or two.  Those without an effect here are checked and recorded.

The machine:
  -machine|-M [type=]NAME[,PROPERTY=VALUE...]    its board; -machine help lists them
      x-unplug-delay-ms=N                        how long a PCI device takes to go, for want of a guest
  -accel NAME  -enable-kvm                       recorded; nothing runs
  -cpu MODEL[,FEATURE=on|off...]  -smp [cpus=]N[,maxcpus=N][,sockets=N][,cores=N][,threads=N]
  -m [size=]MEGABYTES[,slots=N,maxmem=SIZE]
  -name NAME  -uuid UUID  -rtc ...  -boot ...  -smbios ...
  -nodefaults                                    no devices but those named
Devices and media:
  -blockdev JSON|[driver=]DRIVER,...             a node
  -device JSON|[driver=]TYPE,...                 a device; -device help lists types
  -drive ...  -hda|-hdb|-hdc|-hdd FILE  -cdrom FILE  -fda|-fdb FILE  -pflash FILE  -snapshot
  -object JSON|[qom-type=]TYPE,id=ID,...         an object
  -netdev|-net|-nic ...  -audiodev ...           recorded; they carry nothing
Ways in:
  -chardev BACKEND,id=ID,...                     a character device
  -mon [chardev=]ID[,mode=control][,pretty=on]   a monitor on one
  -qmp|-qmp-pretty ADDRESS  -monitor ADDRESS     both at once
  -serial|-parallel ADDRESS  -nographic
  -add-fd fd=FD,set=SET[,opaque=TEXT]            a passed descriptor
Running:
  -S  -no-shutdown  -no-reboot  -action ...  -incoming ADDRESS|defer  -loadvm TAG
  -daemonize  -pidfile FILE  -D FILE  -trace PATTERN  -log-level LEVEL  -log-json
  -accel qtest -qtest ADDRESS  -qtest-log FILE   a test turns the clock
  -readconfig FILE  -set GROUP.ID.ARG=VALUE  -global TYPE.PROPERTY=VALUE
  -version  -help
"""


def help_text(program: str = "qemu-system-x86_64") -> str:
    """Return what ``-help`` prints."""
    return version_text() + _HELP.format(program=program) + _further_options()


def _further_options() -> str:
    """Return the options that are not explained: those without an effect, and those of QEMU that are not here."""
    named = set(re.findall(r"[-|]([A-Za-z][\w-]*)", _HELP))
    groups = {
        "Taken as well; most are checked, recorded, and have no effect:": TAKES_ARGUMENT.keys()
        - named
        - NOT_HERE
        - OTHER_TARGETS,
        "Refused, since there is no such thing here:": NOT_HERE,
    }
    return "".join(f"{title}\n{_wrapped(names)}\n" for title, names in groups.items())


def _wrapped(names: Iterable[str]) -> str:
    import textwrap  # noqa: PLC0415 - only help wants it

    words = " ".join(f"-{name}" for name in sorted(names, key=str.lower))
    return textwrap.fill(words, 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def version_text() -> str:
    """Return what ``-version`` prints; its first words are those that clients look for."""
    qemu_version = ".".join(map(str, QEMU_VERSION))
    return f"QEMU emulator version {qemu_version} (qmpserver {__version__})\n"


def board_help(name: str | None) -> str:
    """Return what a board is told, or else the list of boards."""
    board = None if name is None or name in ("help", "?") else find_board(name)
    if board is not None:
        lines = [f"  {key}=<{kind}>" for key, kind in sorted(board_parameters(board.family).items())]
        return "\n".join([f"{board.name}-machine options:", *lines, ""])
    lines = [line for entry in BOARDS.values() for line in _board_lines(entry)]
    return "\n".join(["Supported machines are:", *lines, ""])


def _board_lines(board: Board) -> list[str]:
    notes = f"{' (default)' if board.is_default else ''}{' (deprecated)' if board.deprecated else ''}"
    own = f"{board.name:<20} {board.description}{notes}"
    if board.alias is None:
        return [own]
    return [f"{board.alias:<20} {board.description} (alias of {board.name})", own]


def cpu_help() -> str:
    """Return the list of models."""
    lines = [_model_line(model) for _, model in sorted(CPU_MODELS.items())]
    return "\n".join(["Available CPUs:", *lines, ""])


def _model_line(model: CpuModel) -> str:
    if model.alias_of is None:
        return f"  {model.name}"
    is_versioned = model.alias_of == f"{model.name}-v1"
    note = "(alias configured by machine type)" if is_versioned else f"(alias of {model.alias_of})"
    return f"  {model.name:<20}  {note}"
