"""List the machine's options, and split a command line into them.

QEMU: a name may have one dash or two, cannot be cut short, and takes its argument as a word of its own.
"""

from collections.abc import Sequence

from qmpserver.options.getopt import STRAY, Option, UsageError

_SWITCHES = (
    "S daemonize enable-kvm help h mem-prealloc no-acpi no-fd-bootchk no-hpet no-reboot no-shutdown no-user-config "
    "nodefaults nographic only-migratable snapshot usb version win2k-hack log-json"
)

_WITH_ARGUMENT = (
    "D L M accel acpitable action add-fd append audio audiodev bios blockdev boot cdrom chardev compat cpu d "
    "debugcon device dfilter display drive dtb echr fda fdb global hda hdb hdc hdd incoming initrd k kernel loadvm m "
    "machine mem-path mon monitor msg name net netdev nic numa object overcommit parallel pidfile qmp qmp-pretty "
    "qtest qtest-log readconfig rtc run-with runas sandbox seed serial set shim smbios smp trace usbdevice uuid vga "
    "watchdog-action log-level"
)

_NOT_HERE = (
    "dump-vmstate fsdev fw_cfg g gdb icount iscsi mtdblock nvdimm option-rom pflash plugin sd semihosting-config "
    "spice tpmdev virtfs vnc xen-domid"
)
_SWITCHES_NOT_HERE = (
    "enable-sync-profile full-screen jitdump perfmap preconfig s semihosting xen-attach xen-domid-restrict"
)

TAKES_ARGUMENT = {
    **dict.fromkeys((_SWITCHES + " " + _SWITCHES_NOT_HERE).split(), False),
    **dict.fromkeys((_WITH_ARGUMENT + " " + _NOT_HERE).split(), True),
}
"""Every option by name, and whether an argument follows it."""

NOT_HERE = frozenset((_NOT_HERE + " " + _SWITCHES_NOT_HERE).split())
"""Options of QEMU that ask for what there is not here."""


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
