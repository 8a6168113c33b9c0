"""Wrong command lines of a machine get the real system emulator's text and exit status 1."""

import subprocess
from pathlib import Path

import pytest

from qmpserver.__main__ import run
from tests.peers import need, peer_version

PROGRAM = "qemu-system-x86_64"
NEWEST = 11
QUIET = ["-display", "none", "-S", "-nodefaults"]

UNITS = (
    "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively."
)
IDENTIFIERS = "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."
NO_SIZE = f"Parameter 'size' expects a non-negative number below 2^64\n{UNITS}"

SAME: list[tuple[str, str]] = [
    ("-foo", "-foo: invalid option"),
    ("--foo", "--foo: invalid option"),
    ("-m", "-m: requires an argument"),
    ("-m 64x", f"-m 64x: {NO_SIZE}"),
    ("-m 64,maxmem=x", f"-m 64,maxmem=x: {NO_SIZE.replace('size', 'maxmem', 1)}"),
    ("-m 64,foo=1", "-m 64,foo=1: Invalid parameter 'foo'"),
    ("-m 64,slots=2", "slots specified but no max-size"),
    ("-m 64,slots=300,maxmem=1G", "unsupported amount of memory slots: 300"),
    (
        "-m 64M,maxmem=32M",
        "invalid value of maxmem: maximum memory size (0x2000000) must be at least the initial memory size (0x4000000)",
    ),
    ("-machine pc,usb=maybe", "Parameter 'usb' expects 'on' or 'off'"),
    ("-machine pc,smm=x", "Parameter 'smm' does not accept value 'x'"),
    ("-machine none,hpet=off", "Property 'none-machine.hpet' not found"),
    ("-machine help,foo", "-machine help,foo: Expected '=' after parameter 'foo'"),
    ("-machine pc,accel=bogus", "invalid accelerator bogus"),
    ("-machine accel=", "no accelerator found"),
    ("-machine pc,memory-backend=x", "Memory backend 'x' not found"),
    ("-accel bogus", "-accel bogus: invalid accelerator bogus"),
    ("-accel tcg,foo=1", "-accel tcg,foo=1: Property 'tcg-accel.foo' not found"),
    ("-accel tcg,split-wx=maybe", "-accel tcg,split-wx=maybe: Parameter 'split-wx' expects 'on' or 'off'"),
    (
        "-accel tcg,tb-size=99999999999999999999",
        "-accel tcg,tb-size=99999999999999999999: Parameter 'tb-size' expects uint64",
    ),
    (
        "-accel tcg,nofoo",
        (
            "-accel tcg,nofoo: warning: short-form boolean option 'nofoo' deprecated\nPlease use foo=off instead\n"
            "{0}: -accel tcg,nofoo: Property 'tcg-accel.foo' not found"
        ),
    ),
    ("-accel tcg -machine accel=kvm", 'The -accel and "-machine accel=" options are incompatible'),
    ("-cpu bogus", "unable to find CPU model 'bogus'"),
    ("-cpu host -accel tcg", "CPU model 'host' requires KVM or HVF"),
    ("-cpu qemu64,+foo", "Property 'qemu64-x86_64-cpu.foo' not found"),
    (
        "-cpu qemu64,foo=on",
        "can't apply global qemu64-x86_64-cpu.foo=on: Property 'qemu64-x86_64-cpu.foo' not found",
    ),
    (
        "-cpu qemu64,sse=maybe",
        "can't apply global qemu64-x86_64-cpu.sse=maybe: Parameter 'sse' expects 'on' or 'off'",
    ),
    ("-smp x", "Parameter 'smp.cpus' expects integer"),
    ("-smp 2,foo=1", "Parameter 'smp.foo' is unexpected"),
    ("-machine isapc -smp 2", "Invalid SMP CPUs 2. The max CPUs supported by machine 'isapc' is 1"),
    ("-uuid x", "-uuid x: failed to parse UUID string: wrong format"),
    ("-name guest=a,foo=1", "-name guest=a,foo=1: Invalid parameter 'foo'"),
    ("-rtc base=foo", "invalid datetime format\nvalid formats: '2006-06-17T16:01:21' or '2006-06-17'"),
    ("-rtc clock=foo", "invalid option value 'foo'"),
    ("-boot q", "Invalid boot device 'q'"),
    ("-boot order=cc", "Boot device 'c' was given twice"),
    ("-boot strict=maybe", "Parameter 'boot.strict' expects 'on' or 'off'"),
    ("-boot menu=on,foo=1", "Parameter 'boot.foo' is unexpected"),
    ("-msg foo=1", "-msg foo=1: Invalid parameter 'foo'"),
    ("-sandbox on,spawn=x", "-sandbox on,spawn=x: invalid argument for spawn"),
    ("-action reboot=bar", "-action reboot=bar: Parameter 'reboot' does not accept value 'bar'"),
    ("-watchdog-action bar", "-watchdog-action bar: Parameter 'watchdog' does not accept value 'bar'"),
    (
        "-global driver=a,property=b",
        "-global driver=a,property=b: options 'driver', 'property', and 'value' are required",
    ),
    ("-set foo", '-set foo: can\'t parse: "foo"'),
    ("-set a.b.c=d", "-set a.b.c=d: There is no option group 'a'"),
    ("-set device.x.y=z", '-set device.x.y=z: there is no device "x" defined'),
    ("-vga bogus", "unknown vga type: bogus"),
    ("-display bogus", "-display bogus: Parameter 'type' does not accept value 'bogus'"),
    ("-qmp foo", "-qmp foo: 'foo' is not a valid char driver\n{}: -qmp foo: parse error: foo"),
    ("-monitor chardev:foo", '-monitor chardev:foo: chardev "foo" not found'),
    ("-chardev null", "-chardev null: chardev: no id specified"),
    ("-chardev null,id=a -chardev null,id=a", "-chardev null,id=a: Duplicate ID 'a' for chardev"),
    ("-object foo", "-object foo: Parameter 'qom-type' does not accept value 'foo'"),
    ("-object iothread", "-object iothread: Parameter 'id' is missing"),
    ("-object iothread,id=a,foo=1", "-object iothread,id=a,foo=1: Invalid parameter 'foo'"),
    ("-object iothread,id=a -object iothread,id=a", "-object iothread,id=a: Duplicate ID 'a' for object"),
    (
        "-object iothread,id=1a",
        f"-object iothread,id=1a: Parameter 'id' expects an identifier\n{IDENTIFIERS}",
    ),
    (
        "-object memory-backend-ram,id=x,size=64M -machine pc,memory-backend=x -m 65",
        "Machine memory size does not match the size of the memory backend",
    ),
    ("-audiodev foo,id=a", "-audiodev foo,id=a: Parameter 'driver' does not accept value 'foo'"),
    ("-netdev foo,id=a", "-netdev foo,id=a: Parameter 'type' does not accept value 'foo'"),
    ("-netdev user", "-netdev user: Parameter 'id' is missing"),
    ("-incoming defer -loadvm x", "'incoming' and 'loadvm' options are mutually exclusive"),
    (
        "-pidfile no/such/file",
        "cannot create PID file: Could not create 'no/such/file': No such file or directory",
    ),
    ("-D no/such/file", "Error opening logfile no/such/file: No such file or directory"),
    ("-add-fd fd=0", "-add-fd fd=0: fd cannot be a standard I/O stream"),
    ("-add-fd fd=77,set=2", "-add-fd fd=77,set=2: fd is not valid or already in use"),
    ("-add-fd set=1", "-add-fd set=1: fd option is required and must be non-negative"),
    ("-readconfig nosuch", "-readconfig nosuch: Could not open 'nosuch': No such file or directory"),
    ("-append foo", "-append only allowed with -kernel option"),
    ("-smbios type=99", "-smbios type=99: Don't know how to build fields for SMBIOS type 99"),
    ("-acpitable sig=FOO", "-acpitable sig=FOO: '-acpitable' requires one of 'data' or 'file'"),
    (
        "-smbios type=99,a=b,,c,nod",
        (
            "-smbios type=99,a=b,,c,nod: warning: short-form boolean option 'nod' deprecated\n"
            "Please use d=off instead\n"
            "{0}: -smbios type=99,a=b,,c,nod: Don't know how to build fields for SMBIOS type 99"
        ),
    ),
    (
        "-serial unix:nosuch",
        (
            "-serial unix:nosuch: Failed to connect to 'nosuch': No such file or directory\n"
            "{0}: -serial unix:nosuch: could not connect serial device to character backend 'unix:nosuch'"
        ),
    ),
    (
        "-chardev null,id=serial1 -serial null -serial null",
        (
            "-serial null: Duplicate ID 'serial1' for chardev\n"
            "{0}: -serial null: could not connect serial device to character backend 'null'"
        ),
    ),
    (
        "-chardev null,id=compat_monitor0 -monitor null",
        "-monitor null: Duplicate ID 'compat_monitor0' for chardev\n{0}: -monitor null: parse error: null",
    ),
    (
        "-parallel none -parallel null -parallel null -parallel null -parallel null",
        "-parallel null: too many parallel ports",
    ),
    ("-usbdevice foo", "-usbdevice foo: could not add USB device 'foo'"),
    ("-fw_cfg opt/x", "-fw_cfg opt/x: name, plus exactly one of file, string and gen_id, are needed"),
    ("-fw_cfg name=opt/x,foo=1", "-fw_cfg name=opt/x,foo=1: Invalid parameter 'foo'"),
    ("-icount foo", "-icount foo: icount: Invalid shift value"),
    ("-g 800x600", "-g 800x600: Option not supported for this target"),
    ("-machine q35,pflash0=foo", "Property 'cfi.pflash01.drive' can't find value 'foo'"),
    ("-device", "-device: requires an argument"),
    ("-device id=x", "-device id=x: Parameter 'driver' is missing"),
    ('-device {"driver":3}', "-device {{\"driver\":3}}: Parameter 'driver' is missing"),
    ("-object secret,id=s", "Either 'file' or 'data' must be provided"),
    ("-device foo", "-device foo: 'foo' is not a valid device model name"),
    ("-device virtio-rng-pci,foo=1", "-device virtio-rng-pci,foo=1: Property 'virtio-rng-pci.foo' not found"),
    (
        "-device virtio-blk-pci,drive=foo",
        "-device virtio-blk-pci,drive=foo: Property 'virtio-blk-device.drive' can't find value 'foo'",
    ),
    (
        "-device virtio-rng-pci,id=d -set device.d.foo=x",
        "-device virtio-rng-pci,id=d: Property 'virtio-rng-pci.foo' not found",
    ),
    (
        "-device virtio-rng-pci,id=1x",
        f"-device virtio-rng-pci,id=1x: Parameter 'id' expects an identifier\n{IDENTIFIERS}",
    ),
    (
        "-device virtio-rng-pci,id=a -device virtio-rng-pci,id=a",
        "-device virtio-rng-pci,id=a: Duplicate ID 'a' for device",
    ),
    ("-drive foo=1", "-drive foo=1: Must specify either driver or file"),
    (
        "-drive if=none,id=a,file=nosuch",
        "-drive if=none,id=a,file=nosuch: Could not open 'nosuch': No such file or directory",
    ),
    ("-blockdev foo", "-blockdev foo: Parameter 'driver' does not accept value 'foo'"),
    ("-daemonize -monitor stdio", "-monitor stdio: cannot use stdio with -daemonize"),
    ("nosuch", "nosuch: Could not open 'nosuch': No such file or directory"),
]

LEVELS = "sockets ({}) * dies (1) * modules (1) * cores ({}) * threads (1)"

RESERVED = (
    "object's id 'pc.ram' is reserved for the default RAM backend, it can't be used for any other purposes\n"
    "Change the object's 'id' to something else or disable automatic creation of the default RAM backend by "
    "setting 'memory-backend=pc.ram' with '-machine'."
)

OTHER_THAN_7_2: list[tuple[str, str]] = [
    (
        "-machine bogus",
        'unsupported machine type: "bogus"\nUse -machine help to list supported machines',
    ),
    ("-machine pc,foo=1", "Property 'pc-i440fx-11.1-machine.foo' not found"),
    ("-smp 0", "Invalid CPU topology: CPU topology parameters must be greater than zero"),
    (
        "-smp 2,maxcpus=1",
        f"Invalid CPU topology: maxcpus must be equal to or greater than smp: {LEVELS.format(1, 1)} == maxcpus (1) < smp_cpus (2)",
    ),
    (
        "-smp 5,sockets=2",
        f"Invalid CPU topology: product of the hierarchy must match maxcpus: {LEVELS.format(2, 2)} != maxcpus (5)",
    ),
    ("-smp 300", "Invalid SMP CPUs 300. The max CPUs supported by machine 'pc-i440fx-11.1' is 255"),
    ("-machine microvm -smp 2,dies=2", "dies > 1 not supported by this machine's CPU topology"),
    (
        "-overcommit mem-lock=x",
        "-overcommit mem-lock=x: parameter 'mem-lock' expects one of 'on', 'off', 'on-fault'",
    ),
    (
        "-audiodev none,id=a -audiodev none,id=a",
        "attempt to add duplicate property 'a' to object (type 'container')",
    ),
    ("-incoming foo", "-incoming foo: Parameter 'channel-type' does not accept value 'foo'"),
    (
        "-object memory-backend-ram,id=pc.ram,size=128M",
        RESERVED,
    ),
]

OUR_OWN: list[tuple[str, str]] = [
    ("-vnc :1", "-vnc :1: not supported: only 'none' is, since there is nothing to see or to debug"),
    ("-fsdev local,id=a", "-fsdev local,id=a: not supported: there is no such thing here"),
    ("-display gtk", "-display gtk: Display 'gtk' is not available: there is nothing to see"),
    # QEMU's exit status is 0, as if its list of accelerators had been asked for.
    ("-accel tcg,id=1x", f"-accel tcg,id=1x: Parameter 'id' expects an identifier\n{IDENTIFIERS}"),
    ("-log-level loud", "-log-level loud: Parameter 'log-level' does not accept value 'loud'"),
]


@pytest.mark.parametrize(("line", "message"), [*SAME, *OTHER_THAN_7_2, *OUR_OWN])
def test_a_wrong_command_line_is_refused(
    line: str,
    message: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(PROGRAM, [*QUIET, *line.split()]) == 1
    assert capfd.readouterr().err == f"{PROGRAM}: {message.format(PROGRAM)}\n"


def check_peer(line: str, message: str, folder: Path) -> None:
    done = subprocess.run(
        [need(PROGRAM), *QUIET, *line.split()],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == f"{PROGRAM}: {message.format(PROGRAM)}\n"
    assert done.returncode == 1


@pytest.mark.parametrize(("line", "message"), SAME)
def test_qemu_refuses_it_with_the_same_text(line: str, message: str, tmp_path: Path) -> None:
    check_peer(line, message, tmp_path)


@pytest.mark.parametrize(("line", "message"), OTHER_THAN_7_2)
def test_the_newest_qemu_refuses_it_with_the_same_text(line: str, message: str, tmp_path: Path) -> None:
    if peer_version(PROGRAM)[0] != NEWEST:
        pytest.skip("an older QEMU says it otherwise")
    check_peer(line, message, tmp_path)
