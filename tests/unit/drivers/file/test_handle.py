import asyncio
import os
from pathlib import Path

import pytest

from qmpserver.driver_api.limits import Limits
from qmpserver.drivers.file.driver import FileDriver
from qmpserver.drivers.file.handle import Handle, OpenMode, open_handle
from qmpserver.errors import QMPError
from tests.unit.drivers.file.context import FileContext, OpenFile


class FdSetContext(FileContext):
    """A node of a server to which a client has passed one descriptor, in set 3."""

    def __init__(self, filename: str, descriptor: int) -> None:
        super().__init__(filename)
        self.descriptor = descriptor
        self.asked: list[tuple[int, int]] = []

    def fdset_dup(self, set_id: int, flags: int) -> int:
        self.asked.append((set_id, flags & os.O_ACCMODE))
        if set_id != 3:
            raise QMPError(f"Failed to find fdset /dev/fdset/{set_id}")
        return os.dup(self.descriptor)


def refusal(context: FileContext) -> str:
    with pytest.raises(QMPError) as caught:
        asyncio.run(FileDriver.open(context))
    return caught.value.description


@pytest.mark.parametrize(
    ("name", "read_only", "text"),
    [
        ("none", False, "Could not open '{}': No such file or directory"),
        ("none", True, "Could not open '{}': No such file or directory"),
        ("folder", False, "Could not open '{}': Is a directory"),
        ("folder", True, "'file' driver requires '{}' to be a regular file"),
        ("fifo", False, "'file' driver requires '{}' to be a regular file"),
        ("fifo", True, "'file' driver requires '{}' to be a regular file"),
        ("dangling", False, "Could not open '{}': No such file or directory"),
        ("image/x", False, "Could not open '{}': Not a directory"),
        ("x" * 5000, False, "Could not open '{}': File name too long"),
        ("a\0b", False, "Could not open '{}': embedded null byte"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_qemus_words(
    tmp_path: Path, image: Path, name: str, read_only: bool, text: str
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("nowhere")
    path = f"{tmp_path}/{name}"
    assert refusal(FileContext(path, read_only=read_only)) == text.format(path)


def test_a_device_is_no_regular_file() -> None:
    assert refusal(FileContext("/dev/null")) == "'file' driver requires '/dev/null' to be a regular file"


def test_a_file_without_a_size_is_refused() -> None:
    context = FileContext("/proc/cpuinfo", read_only=True)
    assert refusal(context) == "Could not refresh total sector count: Invalid argument"


def test_no_prefix_is_taken_off_a_file_name(image: Path) -> None:
    name = f"file:{image}"
    assert refusal(FileContext(name)) == f"Could not open '{name}': No such file or directory"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/dev/fdset/x", "Could not parse fdset /dev/fdset/x"),
        ("/dev/fdset/3x", "Could not parse fdset /dev/fdset/3x"),
        ("/dev/fdset/-1", "Could not parse fdset /dev/fdset/-1"),
        ("/dev/fdset/", "Could not parse fdset /dev/fdset/"),
        ("/dev/fdset/7", "Could not open '/dev/fdset/7': Function not implemented"),
    ],
)
def test_an_fd_set_that_is_not_there_is_named(name: str, text: str) -> None:
    assert refusal(FileContext(name)) == text


def test_a_passed_descriptor_serves_as_an_image(image: Path) -> None:
    async def main(descriptor: int) -> bytes:
        context = FdSetContext("/dev/fdset/3", descriptor)
        driver = await FileDriver.open(context)
        assert context.asked == [(3, os.O_RDWR)]
        into = bytearray(4)
        await driver.pread(2, memoryview(into), 0)
        await driver.close()
        return bytes(into)

    with image.open("r+b") as file:
        assert asyncio.run(main(file.fileno())) == b"\x02\x03\x04\x05"
        assert refusal(FdSetContext("/dev/fdset/8", file.fileno())) == "Failed to find fdset /dev/fdset/8"


def test_automatic_read_only_opens_for_reading_first(image: Path, open_file: OpenFile) -> None:
    image.chmod(0o400)

    async def main() -> None:
        driver = await open_file(image, auto_read_only=True)
        assert driver._access.handle.mode == OpenMode(writable=False, direct=False)
        await driver.close()

    asyncio.run(main())


def test_a_handle_closes_when_its_last_request_has_ended(image: Path) -> None:
    descriptor = os.open(image, os.O_RDONLY)
    handle = Handle(descriptor, OpenMode(writable=False, direct=False), None, Limits())
    assert handle.begin() == descriptor
    handle.close()
    os.fstat(descriptor)
    handle.end()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_request_that_comes_after_the_end_does_not_touch_whoever_has_the_number_now(image: Path) -> None:
    handle = open_handle(str(image), OpenMode(writable=False, direct=False), "off", None)
    number = handle.fd
    handle.close()
    other = os.open(image, os.O_RDONLY)
    assert other == number
    with pytest.raises(OSError, match="Bad file descriptor"):
        handle.begin()
    os.close(other)


def test_a_descriptor_closes_once_when_its_last_request_has_ended(image: Path) -> None:
    handle = open_handle(str(image), OpenMode(writable=False, direct=False), "off", None)
    number = handle.begin()
    handle.close()
    os.fstat(number)
    handle.end()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
