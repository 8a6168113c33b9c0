"""Commands of the monitor for people do what they say, where no QEMU is there to compare with."""

import random
from pathlib import Path

import pytest

from qmpserver.chardevs.chardev import NullChardev
from qmpserver.errors import QMPError
from qmpserver.machine.hmp.command import HumanCommand
from qmpserver.machine.hmp.completion import complete
from qmpserver.machine.hmp.table import TABLES
from qmpserver.server import Server
from tests.unit.machine.devices.machines import waits
from tests.unit.machine.hmp.human import SCHEMA, person

BUSES = """\
bus: main-system-bus
  type System
  dev: ps2-mouse, id ""
  dev: ps2-kbd, id ""
"""
SCSI = """\
      dev: virtio-scsi-pci, id "vs"
        bus: virtio-bus
          type virtio-pci-bus
          dev: virtio-scsi-device, id ""
            bus: vs.0
              type SCSI
              dev: scsi-hd, id "hd"
"""


@waits
async def test_the_tree_of_buses_has_the_newest_device_first() -> None:
    async with person() as somebody:
        await somebody.node("n")
        await somebody.device(driver="virtio-scsi-pci", id="vs")
        await somebody.device(driver="scsi-hd", id="hd", drive="n", serial="abc")
        brief = await somebody.type("info qtree -b")
        assert brief.startswith(BUSES)
        assert SCSI in brief
        whole = await somebody.type("info qtree")
        for line in (
            "        addr = 02.0\n",
            '                drive = "n"\n',
            '                serial = "abc"\n',
            "                logical_block_size = 512 (512 B)\n",
            "                share-rw = false\n",
            '                write-cache = "auto"\n',
            "            max_sectors = 65535 (0xffff)\n",
        ):
            assert line in whole, line
        assert "realized" not in whole


@waits
async def test_the_tree_of_objects_begins_anywhere() -> None:
    async with person() as somebody:
        await somebody.device(driver="virtio-scsi-pci", id="vs")
        assert await somebody.type("info qom-tree /machine/peripheral") == (
            "/peripheral (container)\n"
            "  /vs (virtio-scsi-pci)\n"
            "    /virtio-backend (virtio-scsi-device)\n"
            "      /vs.0 (SCSI)\n"
            "    /virtio-bus (virtio-pci-bus)\n"
        )
        assert (await somebody.type("info qom-tree")).startswith("/machine (pc-i440fx-")
        assert await somebody.type("info virtio") == "/machine/peripheral/vs/virtio-backend [virtio-scsi]\n"
        assert 'name "virtio-blk-pci", bus PCI, alias "virtio-blk"' in await somebody.type("info qdm")


@waits
async def test_help_names_every_command_once_and_in_order() -> None:
    async with person() as somebody:
        expected = [command.help() for command in TABLES.top.commands]
        assert await somebody.type("help") == "".join(sorted(expected))
        shown = [line.split()[1] for line in (await somebody.type("info")).splitlines()]
        assert shown == sorted(command.name for command in TABLES.info.commands)
        assert await somebody.type("help info") == await somebody.type("info")
        assert (await somebody.type("? cont")).startswith("cont|c  -- ")
        assert (await somebody.type("help info block")).startswith("info block [-n] [-v] [device] -- ")


@pytest.mark.parametrize("command", TABLES.info.commands, ids=lambda command: command.name)
def test_everything_that_is_shown_can_be_shown(command: HumanCommand) -> None:
    @waits
    async def run() -> None:
        async with person() as somebody:
            answer = await somebody.type(f"info {command.name}{' vm' if command.name == 'stats' else ''}")
            assert "internal error" not in answer
            assert not answer.startswith("unknown command")

    run()


@waits
async def test_a_processor_is_named_by_a_number_that_there_is() -> None:
    async with person() as somebody:
        arguments = {"command-line": "info status", "cpu-index": 0}
        assert (
            await somebody.server.execute("human-monitor-command", arguments)
            == "VM status: paused (prelaunch)\r\n"
        )
        with pytest.raises(QMPError, match="Parameter 'cpu-index' expects a CPU number"):
            await somebody.server.execute("human-monitor-command", arguments | {"cpu-index": 1})


@waits
async def test_an_answer_is_what_the_schema_says() -> None:
    async with person() as somebody:
        SCHEMA.commands["human-monitor-command"].check_reply(await somebody.type("info status"))


WORDS = (
    'cd n named empty -f -n -d -w -x 1 1M 0x10 on off " foo=bar id=q driver=null-co node-name=nn if=none null c all '
    'virtio-rng-pci iothread ringbuf,id=r /machine /objects bootindex {"a":1} [ 7/0 help info é \x01 tcp:x:y , %s -j'
)
LINES = 400


@waits
async def test_no_line_is_answered_by_an_internal_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chance = random.Random(7)
    names = [command.names[0] for command in TABLES.top.commands if command.name not in ("quit|q", "migrate")]
    async with person() as somebody:
        await somebody.node("n")
        await somebody.type("drive_add 0 if=none,id=named,driver=null-co")
        await somebody.type("drive_add 0 if=none,id=empty")
        await somebody.device(driver="virtio-scsi-pci")
        await somebody.device(driver="scsi-cd", id="cd")
        for _ in range(LINES):
            words = chance.choices(WORDS.split(), k=chance.randrange(5))
            line = " ".join([chance.choice(names), *words])
            assert "internal error" not in await somebody.type(line), line


@waits
async def test_a_monitor_for_people_can_be_an_object_which_stays() -> None:
    async with person() as somebody:
        await somebody.type("chardev-add null,id=c")
        assert await somebody.type("object_add monitor-hmp,id=m,chardev=c") == ""
        assert await somebody.type("qom-get /objects/m readline") == "true\n"
        assert (
            await somebody.type("object_add monitor-hmp,id=m2,chardev=c")
            == "Error: chardev 'c' is already in use\n"
        )
        assert await somebody.type("object_del m") == "Error: Deleting HMP monitors is not supported\n"
        assert await somebody.type("chardev-remove c") == "Error: Chardev 'c' is busy\n"
        await somebody.type("chardev-add null,id=d")
        answer = await somebody.type("object_add monitor-hmp,id=m2,chardev=d,readline=off")
        assert answer == "Error: monitor-hmp without 'readline' is not supported\n"


@waits
async def test_network_backends_come_and_go_by_name() -> None:
    async with person() as somebody:
        assert await somebody.type("netdev_add user,id=u") == ""
        assert somebody.machine.netdevs == {"u"}
        assert await somebody.type("netdev_add user") == "Error: Parameter 'id' is missing\n"
        assert await somebody.type("netdev_del u") == ""
        assert await somebody.type("netdev_del u") == "Error: Device 'u' not found\n"


@waits
async def test_parts_of_the_program_are_traced_by_name() -> None:
    async with person() as somebody:
        assert await somebody.type("trace-event foo on") == 'unknown event "foo"\n'
        assert await somebody.type("info trace-events foo") == 'unknown event "foo"\n'
        assert await somebody.type("info trace-events jobs") == "jobs : state 0\n"
        assert await somebody.type("trace-event jobs on") == ""
        assert await somebody.type("info trace-events jobs") == "jobs : state 1\n"
        assert await somebody.type("trace-event jobs off") == ""


@waits
async def test_only_a_machine_has_a_monitor_for_people() -> None:
    async with Server() as server:
        with pytest.raises(QMPError, match="Only QMP is supported"):
            await server.add_human_monitor(NullChardev("c"))


COMPLETED = [
    ("inf", ["info"]),
    ("info sta", ["stats", "status"]),
    ("info  bl", ["block", "block-jobs", "blockstats"]),
    ("help info sna", ["snapshots"]),
    ("help sav", ["savevm"]),
    ("eject e", ["empty"]),
    ("eject -f e", ["empty"]),
    ("eject empty x", []),
    ("drive_del ", ["empty", "full", "node"]),
    ("set_link x o", ["off", "on"]),
    ("device_del v", ["vs"]),
    ("nonsense x", []),
    ("info nonsense x", []),
    ("zzz", []),
]


@pytest.mark.parametrize(("line", "words"), COMPLETED)
def test_words_are_completed_by_what_they_stand_for(line: str, words: list[str]) -> None:
    @waits
    async def run() -> None:
        async with person() as somebody:
            await somebody.node("node")
            await somebody.type("drive_add 0 if=none,id=empty")
            # Its node has a name that was made up, which nobody wants to type.
            await somebody.type("drive_add 0 if=none,id=full,driver=null-co")
            await somebody.device(driver="virtio-scsi-pci", id="vs")
            assert complete(TABLES, somebody.machine, line) == words

    run()


@waits
async def test_when_one_drive_cannot_be_offered_none_is() -> None:
    async with person() as somebody:
        await somebody.type("drive_add 0 if=none,id=named,driver=null-co")
        await somebody.node("n")
        await somebody.device(driver="virtio-blk-pci", id="nameless", drive="n")
        assert await somebody.type("nbd_server_start -a 127.0.0.1:0") == (
            "Error: Cannot find device='' nor node-name=''\n"
        )
        assert await somebody.type("nbd_server_stop") == "Error: NBD server not running\n"
