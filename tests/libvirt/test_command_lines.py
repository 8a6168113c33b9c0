"""Every command line that libvirt makes starts a machine, which answers what libvirt asks at once."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.libvirt.domains import make_disks
from tests.libvirt.shapes import SHAPES, Shape
from tests.loop_devices import loop_device
from tests.peers import nbd_peer
from tests.socket.process import Client, DaemonProcess

QUERIES = (
    "query-version",
    "query-target",
    "query-chardev",
    "query-cpus-fast",
    "query-iothreads",
    "query-balloon",
)
ASKED_OF_EMPTY = ("query-balloon",)
"""What may be refused, where there is no such device."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("libvirt") / "disks"
    make_disks(folder)
    (folder / "master-key.aes").write_bytes(bytes(range(32)))
    return folder


@contextmanager
def started(shape: Shape, folder: Path) -> Iterator[Client]:
    """Start a machine as libvirt does: its monitor listens already."""
    text = " ".join(shape.options)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(folder / "monitor.sock"))
        stack.callback((folder / "monitor.sock").unlink)
        listener.listen(1)
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.connect(listener.getsockname())
        passed = os.open(folder / "serial.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        stack.callback(os.close, passed)
        content = (folder / "i.raw").read_bytes()
        device = stack.enter_context(loop_device(folder, content)) if "DEVICE" in text else ""
        if "nbd" in text:
            offered = ("-x", "e", "-f", "raw", "-r", "-k", folder / "nbd.sock", folder / "i.raw")
            stack.enter_context(nbd_peer("qemu-nbd", *offered, path=folder / "nbd.sock"))
        words = [
            word.replace("DIR", str(folder)).replace("DEVICE", device).replace("FD", str(passed))
            for word in shape.words(listener.fileno())
        ]
        fds = [listener.fileno(), passed]
        stack.enter_context(DaemonProcess(*words, folder=folder, pass_fds=fds, door=["machine"]))
        yield stack.enter_context(Client(client))


@pytest.mark.parametrize("name", SHAPES)
def test_a_machine_starts_and_answers(name: str, folder: Path) -> None:
    shape = SHAPES[name]
    if shape.accelerator == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("/dev/kvm cannot be opened")
    with started(shape, folder) as client:
        for query in QUERIES:
            reply = client.execute(query)
            assert "return" in reply or query in ASKED_OF_EMPTY, reply
        blocks = client.execute("query-block")["return"]
        assert [block["qdev"] for block in blocks] == list(shape.disks)
        assert all("removable" in block for block in blocks)
        nodes = client.execute("query-named-block-nodes", flat=True)["return"]
        assert all(node["image"]["virtual-size"] for node in nodes)
        ids = {entry["name"] for entry in client.execute("qom-list", path="/machine/peripheral")["return"]}
        assert ids - {"type"} == {
            *shape.others,
            *(path.split("/")[3] if "/" in path else path for path in shape.disks),
        }
        assert client.execute("cont") == {"return": {}}
        assert client.execute("query-status")["return"]["status"] == "running"
