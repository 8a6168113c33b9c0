"""List the machine's options, and split a command line into them.

QEMU: a name may have one dash or two, cannot be cut short, and takes its argument as a word of its own.
"""

from collections.abc import Sequence

from qmpserver.options.getopt import STRAY, Option, UsageError

_SWITCHES = (
    "S daemonize enable-kvm help h mem-prealloc no-acpi no-fd-bootchk no-hpet no-reboot no-shutdown no-user-config "
    "nodefaults nographic only-migratable snapshot usb version win2k-hack log-json full-screen enable-sync-profile "
    "jitdump perfmap"
)

_WITH_ARGUMENT = (
    "D L M accel acpitable action add-fd append audio audiodev bios blockdev boot cdrom chardev compat cpu d "
    "debugcon device dfilter display drive dtb echr fda fdb global hda hdb hdc hdd incoming initrd k kernel loadvm m "
    "machine mem-path mon monitor msg name net netdev nic numa object overcommit parallel pidfile qmp qmp-pretty "
    "qtest qtest-log readconfig rtc run-with runas sandbox seed serial set shim smbios smp trace usbdevice uuid vga "
    "watchdog-action log-level fw_cfg icount mtdblock option-rom pflash sd vnc gdb"
)

_NOT_HERE = "dump-vmstate fsdev iscsi plugin spice tpmdev virtfs xen-domid"
_SWITCHES_NOT_HERE = "preconfig s xen-attach xen-domid-restrict"
_OTHER_TARGETS = "g semihosting-config"
_SWITCHES_OTHER_TARGETS = "semihosting"

TAKES_ARGUMENT = {
    **dict.fromkeys(f"{_SWITCHES} {_SWITCHES_NOT_HERE} {_SWITCHES_OTHER_TARGETS}".split(), False),
    **dict.fromkeys(f"{_WITH_ARGUMENT} {_NOT_HERE} {_OTHER_TARGETS}".split(), True),
}
"""Every option by name, and whether an argument follows it."""

NOT_HERE = frozenset(f"{_NOT_HERE} {_SWITCHES_NOT_HERE}".split())
"""Options of QEMU that ask for what there is not here: something would talk to it, or look for it."""

OTHER_TARGETS = frozenset(f"{_OTHER_TARGETS} {_SWITCHES_OTHER_TARGETS}".split())
"""Options that QEMU has for other processors."""


def split(words: Sequence[str]) -> list[Option]:
    """Split a command line; a word that is no option comes out as STRAY.

    Raises:
        UsageError: An option does not exist, or its argument is missing.
    """
    found = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            found.append(Option(STRAY, word, word))
            continue
        name = word[2:] if word.startswith("--") else word[1:]
        takes_argument = TAKES_ARGUMENT.get(name)
        if takes_argument is None:
            raise UsageError(f"{word}: invalid option")
        value = next(rest, None) if takes_argument else ""
        if value is None:
            raise UsageError(f"{word}: requires an argument")
        found.append(Option(name, value, f"{word} {value}" if takes_argument else word))
    return found
