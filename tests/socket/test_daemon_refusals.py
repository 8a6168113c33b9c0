"""Wrong command lines get the real storage daemon's text and exit status 1."""

import subprocess
from pathlib import Path

import pytest

from qmpserver.__main__ import run
from tests.peers import need

PROGRAM = "qemu-storage-daemon"

IDENTIFIERS = "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."
MAKE_A = ["--blockdev", "null-co,node-name=a"]
CHARDEV_A = ["--chardev", "null,id=a"]

SAME: list[tuple[list[str], str]] = [
    (["x"], "x: Unexpected argument"),
    (["-"], "-: Unexpected argument"),
    (["x", "--blockdev", "y"], "x: Unexpected argument"),
    ([*MAKE_A, "x"], "x: Unexpected argument"),
    (["--blockdev", "x"], "--blockdev x: Parameter 'driver' does not accept value 'x'"),
    (["--blockdev=x"], "--blockdev=x: Parameter 'driver' does not accept value 'x'"),
    (["--b", "x", "y"], "--b x: Parameter 'driver' does not accept value 'x'"),
    (["--blockdev", ""], "--blockdev : Parameter 'driver' is missing"),
    (["--blockdev", "a=b=c"], "--blockdev a=b=c: Parameter 'driver' is missing"),
    (["--blockdev", "file"], "--blockdev file: Parameter 'filename' is missing"),
    (["--blockdev", "null-co"], "--blockdev null-co: 'node-name' must be specified for the root node"),
    (["--blockdev", "null-co,node-name=1a"], "--blockdev null-co,node-name=1a: Invalid node-name: '1a'"),
    ([*MAKE_A, *MAKE_A], "--blockdev null-co,node-name=a: Duplicate nodes with node-name='a'"),
    (["--blockdev", "null-co,x=1"], "--blockdev null-co,x=1: Parameter 'x' is unexpected"),
    (["--blockdev", "null-co,a.0=1"], "--blockdev null-co,a.0=1: Parameter 'a' is unexpected"),
    (["--blockdev", "null-co,size=x"], "--blockdev null-co,size=x: Parameter 'size' expects integer"),
    (
        ["--blockdev", "null-co,read-only=x"],
        "--blockdev null-co,read-only=x: Parameter 'read-only' expects 'on' or 'off'",
    ),
    (
        ["--blockdev", "raw,file.driver=null-co,file.x=1"],
        "--blockdev raw,file.driver=null-co,file.x=1: Parameter 'file.x' is unexpected",
    ),
    (
        ["--blockdev", "raw,file=none,node-name=z"],
        "--blockdev raw,file=none,node-name=z: Cannot find device='none' nor node-name='none'",
    ),
    (
        ["--export", "nbd,id=a,node-name=b"],
        "--export nbd,id=a,node-name=b: Cannot find device='' nor node-name='b'",
    ),
    (
        [*MAKE_A, "--export", "nbd,id=a,node-name=a"],
        "--export nbd,id=a,node-name=a: NBD server not running",
    ),
    (
        ["--export", "bogus,id=a,node-name=b"],
        "--export bogus,id=a,node-name=b: Parameter 'type' does not accept value 'bogus'",
    ),
    (
        [*MAKE_A, "--export", "fuse,id=a,node-name=a,mountpoint=none"],
        "--export fuse,id=a,node-name=a,mountpoint=none: Failed to stat 'none': No such file or directory",
    ),
    (["--export", "id=a"], "--export id=a: Parameter 'type' is missing"),
    (["--export", "help"], "--export help: Help is not available for this option"),
    (
        ["--export", '{"type": "nbd", "id": "x"}'],
        '--export {"type": "nbd", "id": "x"}: Parameter \'node-name\' is missing',
    ),
    (["--nbd-server", "bogus=1"], "--nbd-server bogus=1: Parameter 'addr' is missing"),
    (
        ["--nbd-server", "addr.type=unix"],
        "--nbd-server addr.type=unix: Parameter 'addr.path' is missing",
    ),
    (
        ["--nbd-server", "addr.type=unix,addr.path=n.sock,max-connections=x"],
        (
            "--nbd-server addr.type=unix,addr.path=n.sock,max-connections=x: "
            "Parameter 'max-connections' expects integer"
        ),
    ),
    (
        [
            "--nbd-server",
            "addr.type=unix,addr.path=n.sock",
            "--nbd-server",
            "addr.type=unix,addr.path=m.sock",
        ],
        "--nbd-server addr.type=unix,addr.path=m.sock: NBD server already running",
    ),
    (
        ["--nbd-server", "addr.type=fd,addr.str=99"],
        "--nbd-server addr.type=fd,addr.str=99: File descriptor '99' is not a socket",
    ),
    (["--blockdev", "help"], "--blockdev help: Help is not available for this option"),
    (["--blockdev", "{}"], "--blockdev {}: Parameter 'driver' is missing"),
    (["--blockdev", "{} x"], "--blockdev {} x: Expecting at most one JSON value"),
    (
        ["--blockdev", '{"driver": 1}'],
        "--blockdev {\"driver\": 1}: Invalid parameter type for 'driver', expected: string",
    ),
    (
        ["--blockdev", "{'driver': 'null-co'}"],
        "--blockdev {'driver': 'null-co'}: 'node-name' must be specified for the root node",
    ),
    (["--object", ""], "--object : Parameter 'qom-type' is missing"),
    (["--object", "x"], "--object x: Parameter 'qom-type' does not accept value 'x'"),
    (["--object", "iothread"], "--object iothread: Parameter 'id' is missing"),
    (
        ["--object", "iothread,id=1"],
        f"--object iothread,id=1: Parameter 'id' expects an identifier\n{IDENTIFIERS}",
    ),
    (
        ["--object", "secret,id=s"],
        "--object secret,id=s: Either 'file' or 'data' must be provided",
    ),
    (["--chardev", "null"], "--chardev null: chardev: no id specified"),
    (["--chardev", "null,id=1"], f"--chardev null,id=1: Parameter 'id' expects an identifier\n{IDENTIFIERS}"),
    (
        [*CHARDEV_A, *CHARDEV_A],
        "--chardev null,id=a: attempt to add duplicate property 'a' to object (type 'container')",
    ),
    (
        [
            "--chardev",
            "socket,id=a,path=s,server=on,wait=off",
            "--chardev",
            "socket,id=a,path=t,server=on,wait=off",
        ],
        "--chardev socket,id=a,path=t,server=on,wait=off: duplicate yank instance",
    ),
    (
        ["--chardev", "stdio,id=a", "--chardev", "stdio,id=b"],
        "--chardev stdio,id=b: cannot use stdio by multiple character devices",
    ),
    (
        ["--chardev", "socket,id=a,path=/nowhere/s,server=on,wait=off"],
        (
            "--chardev socket,id=a,path=/nowhere/s,server=on,wait=off: "
            "Failed to bind socket to /nowhere/s: No such file or directory"
        ),
    ),
    (
        ["--chardev", "socket,id=a,path=/nowhere/s", "--monitor", "a"],
        "--chardev socket,id=a,path=/nowhere/s: Failed to connect to '/nowhere/s': No such file or directory",
    ),
    (
        ["--chardev", "socket,id=a,fd=99,server=on,wait=off"],
        "--chardev socket,id=a,fd=99,server=on,wait=off: File descriptor '99' is not a socket",
    ),
    (
        ["--chardev", "socket,id=a,fd=x,server=on,wait=off"],
        "--chardev socket,id=a,fd=x,server=on,wait=off: Unable to parse FD number x",
    ),
    (["--chardev", "socket,id=a"], "--chardev socket,id=a: Unable to parse FD number "),
    (
        ["--chardev", "socket,id=a,host=127.0.0.1,port=0,ipv4=off,ipv6=off,server=on,wait=off"],
        (
            "--chardev socket,id=a,host=127.0.0.1,port=0,ipv4=off,ipv6=off,server=on,wait=off: "
            "Cannot disable IPv4 and IPv6 at same time"
        ),
    ),
    (
        ["--chardev", "socket,id=a,host=127.0.0.1,port=x,server=on,wait=off"],
        (
            "--chardev socket,id=a,host=127.0.0.1,port=x,server=on,wait=off: "
            "address resolution failed for 127.0.0.1:x: Servname not supported for ai_socktype"
        ),
    ),
    (["--monitor", "x"], '--monitor x: chardev "x" not found'),
    (["--monitor", "a", *CHARDEV_A], '--monitor a: chardev "a" not found'),
    (["--monitor", "mode=control"], "--monitor mode=control: Parameter 'chardev' is missing"),
    ([*CHARDEV_A, "--monitor", "a,mode=readline"], "--monitor a,mode=readline: Only QMP is supported"),
    (["--trace", "bogus=1"], "--trace bogus=1: Invalid parameter 'bogus'"),
    (
        ["--pidfile", "/nowhere/pid"],
        "cannot create PID file: Could not create '/nowhere/pid': No such file or directory",
    ),
    (["--pidfile="], "cannot create PID file: Could not create '': No such file or directory"),
    (
        ["--pidfile", "/nowhere/pid", "--blockdev", "x"],
        "--blockdev x: Parameter 'driver' does not accept value 'x'",
    ),
]

OTHER_THAN_7_2: list[tuple[list[str], str]] = [
    (["--blockdev", "{"], "--blockdev {: 1:2: JSON parse error, premature end of input"),
    (["--blockdev", '{"driver":}'], '--blockdev {"driver":}: 1:11: JSON parse error, expecting value'),
    (["--object", '{"a":1,"a":2}'], '--object {"a":1,"a":2}: 1:12: JSON parse error, duplicate key'),
    (["--monitor", "x,mode=readline"], "--monitor x,mode=readline: Only QMP is supported"),
    ([*CHARDEV_A, "--monitor", "a", "--monitor", "a"], "--monitor a: chardev 'a' is already in use"),
]
"""What QEMU 11.1 says, and 7.2 says otherwise."""

OUR_OWN: list[tuple[list[str], str]] = [
    (["--bogus"], "unrecognized option '--bogus'"),
    (["--pidfile"], "option '--pidfile' requires an argument"),
    (["--chardev", "udp,id=a,port=1"], "--chardev udp,id=a,port=1: chardev backend 'udp' is not supported"),
    (["--qmp", "bogus"], "--qmp bogus: 'bogus' is none of unix:PATH, tcp:HOST:PORT, fd:N, stdio and systemd"),
    (["--qmp", "systemd"], "--qmp systemd: no sockets were passed (LISTEN_FDS)"),
    (["--log-level", "loud"], "--log-level loud: Parameter 'log-level' does not accept value 'loud'"),
]


@pytest.mark.parametrize(("words", "message"), [*SAME, *OTHER_THAN_7_2, *OUR_OWN])
def test_a_wrong_command_line_is_refused(
    words: list[str],
    message: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    assert run(PROGRAM, words) == 1
    assert capfd.readouterr().err == f"{PROGRAM}: {message}\n"


@pytest.mark.parametrize(("words", "message"), SAME)
def test_qemu_refuses_it_with_the_same_text(words: list[str], message: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [need(PROGRAM), *words],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == f"{PROGRAM}: {message}\n"
    assert done.returncode == 1
