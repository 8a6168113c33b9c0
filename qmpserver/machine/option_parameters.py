"""Know the options of the command line that have parameters, and what those are: names of QEMU 11.1.

One table serves ``query-command-line-options`` and the reading of the command line.  A word is a parameter's name,
then its type where that is not a string; `auto` is a boolean that may be left to the program.
"""

from collections.abc import Mapping

Parameters = Mapping[str, str]
"""The type of each parameter, by name: `string`, `boolean`, `number`, `size` or `auto`."""


def _words(words: str) -> Parameters:
    parameters: dict[str, str] = {}
    for word in words.split():
        name, _, kind = word.partition(":")
        parameters[name] = kind or "string"
    return parameters


ANY_BOARD = _words(
    "type kernel initrd append dtb dumpdtb shim dt-compatible firmware phandle-start:number usb:boolean "
    "graphics:boolean dump-guest-core:boolean mem-merge:boolean suppress-vmdesc:boolean memory-backend "
    "memory-encryption confidential-guest-support aux-ram-share:boolean boot memory smp smp-cache"
)
"""What any board is told."""

_PC_AND_MICROVM = _words(
    "smm:auto acpi:auto pit:auto pic:auto x-oem-id x-oem-table-id bus-lock-ratelimit:number sgx-epc"
)

_PC = _words(
    "hpet:boolean i8042:boolean vmport:auto sata:boolean smbus:boolean nvdimm:boolean nvdimm-persistence "
    "default-bus-bypass-iommu:boolean max-fw-size:size max-ram-below-4g:size smbios-entry-point-type "
    "fd-bootchk:boolean x-south-bridge hmat:boolean pcspk-audiodev"
)

_FLASH = _words("pflash0 pflash1")

_MICROVM = _words(
    "rtc:auto pcie:auto ioapic2:auto isa-serial:boolean x-option-roms:boolean auto-kernel-cmdline:boolean"
)

_FAMILIES: Mapping[str, Parameters] = {
    "pc": {**_PC_AND_MICROVM, **_PC, **_FLASH},
    "q35": {**_PC_AND_MICROVM, **_PC, **_FLASH},
    "isapc": {**_PC_AND_MICROVM, **_PC},
    "microvm": {**_PC_AND_MICROVM, **_MICROVM},
}


def board_parameters(family: str) -> Parameters:
    """Return what a board of some family is told."""
    return {**ANY_BOARD, **_FAMILIES.get(family, {})}


_LIMITS = " ".join(
    f"throttling.{unit}-{way}{rest}:number"
    for rest in ("", "-max", "-max-length")
    for unit in ("iops", "bps")
    for way in ("total", "read", "write")
)

_TABLES: Mapping[str, Parameters] = {
    "machine": {**ANY_BOARD, **_PC_AND_MICROVM, **_PC, **_MICROVM},
    "smp-opts": _words(
        "cpus:number drawers:number books:number sockets:number dies:number clusters:number modules:number "
        "cores:number threads:number maxcpus:number"
    ),
    "memory": _words("size:size slots:number maxmem:size"),
    "boot-opts": _words(
        "order once menu:boolean splash splash-time:number reboot-timeout:number strict:boolean"
    ),
    "rtc": _words("base clock driftfix"),
    "name": _words("guest process debug-threads:boolean"),
    "msg": _words("timestamp:boolean guest-name:boolean"),
    "overcommit": _words("mem-lock cpu-pm:boolean"),
    "sandbox": _words("enable:boolean obsolete elevateprivileges spawn resourcecontrol"),
    "action": _words("shutdown reboot panic watchdog"),
    "add-fd": _words("fd:number set:number opaque"),
    "global": _words("driver property value"),
    "trace": _words("enable events file"),
    "mon": _words("mode chardev pretty:boolean"),
    "chardev": _words(
        "backend path input-path host port fd localaddr localport to:number ipv4:boolean ipv6:boolean wait:boolean "
        "server:boolean delay:boolean nodelay:boolean reconnect-ms:number telnet:boolean tn3270:boolean tls-creds "
        "tls-authz websocket:boolean width:number height:number cols:number rows:number encoding mux:boolean "
        "signal:boolean name debug:number size:size chardev chardevs.0 chardevs.1 chardevs.2 chardevs.3 "
        "append:boolean logfile logappend:boolean logtimestamp:boolean mouse:boolean clipboard:boolean "
        "tight:boolean abstract:boolean"
    ),
    "drive": _words(
        "node-name driver cache.direct:boolean cache.no-flush:boolean active:boolean auto-read-only:boolean discard "
        "force-share:boolean snapshot:boolean aio cache.writeback:boolean format werror throttling.iops-size:number "
        f"throttling.group detect-zeroes stats-account-invalid:boolean stats-account-failed:boolean {_LIMITS} "
        "bus:number unit:number index:number media if file read-only:boolean rerror copy-on-read:boolean"
    ),
    "smbios": {},
    "acpi": {},
    "numa": {},
    "object": {},
    "accel": {},
    "net": {},
    "nic": {},
    "netdev": {},
    "device": {},
}

PARAMETERS: Mapping[str, Parameters] = {
    option: {name: "boolean" if kind == "auto" else kind for name, kind in parameters.items()}
    for option, parameters in _TABLES.items()
}
"""The options that have parameters, and the parameters as ``query-command-line-options`` shows them."""
