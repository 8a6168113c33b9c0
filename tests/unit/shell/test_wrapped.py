import pytest

from qmpserver.shell.wrapped import options

DAEMON = ["--chardev", "socket,id=qmpserver-shell,fd=7", "--monitor", "chardev=qmpserver-shell"]
EMULATOR = ["-chardev", "socket,id=qmpserver-shell,fd=7", "-mon", "chardev=qmpserver-shell,mode=control"]


@pytest.mark.parametrize(
    ("command", "added"),
    [
        ("qemu-system-x86_64 -M none", EMULATOR),
        ("/opt/q/qemu-kvm", EMULATOR),
        ("./vmm", EMULATOR),
        ("/usr/bin/qemu-storage-daemon", DAEMON),
        ("qmpserver daemon", DAEMON),
        ("python -m qmpserver", DAEMON),
        ("timeout 9 qemu-system-arm -drive qemu-storage-daemon", EMULATOR),
    ],
)
def test_a_program_is_made_a_server_in_its_own_words(command: str, added: list[str]) -> None:
    assert options(command.split(), 7) == added
