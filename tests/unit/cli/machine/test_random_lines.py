"""Whatever stands on a command line, it ends in a named error, a text, or a machine."""

import asyncio
import os
import tempfile
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.cli.machine.board import make_config
from qmpserver.cli.machine.carry_out import MachineStarter
from qmpserver.cli.machine.options import TAKES_ARGUMENT, split
from qmpserver.cli.machine.reading import read
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.option_error import OptionError
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.machine.option_parameters import PARAMETERS, board_parameters
from qmpserver.options.getopt import UsageError
from qmpserver.options.structured import HelpWanted

TAKE_WHAT_THE_TESTS_HAVE = ("add-fd", "qtest")
"""Options that may take over an open descriptor."""

OPTIONS = sorted(TAKES_ARGUMENT.keys() - set(TAKE_WHAT_THE_TESTS_HAVE))
DRIVERS = sorted(entry.name for entry in DEVICE_TYPES if not entry.is_abstract)
USUAL = {
    "M": ["pc", "q35", "microvm", "none", "isapc", "pc,usb=on", "q35,pflash0=n"],
    "accel": ["tcg", "kvm", "tcg,thread=multi", "bogus"],
    "audiodev": ["none,id=a", "none", "wav,id=a", '{"driver":"none","id":"b"}'],
    "blockdev": [
        "null-co,node-name=n",
        "driver=null-co,node-name=m,size=1M",
        "raw,file=n,node-name=r",
        "{}",
        "[]",
    ],
    "chardev": [
        "null,id=c",
        "ringbuf,id=c,size=64",
        "socket,id=c,path=s,server=on,wait=off",
        "pipe,id=c,path=x",
    ],
    "cpu": ["qemu64", "EPYC,+avx", "max,level=x", "base,family=300", ""],
    "drive": [
        "if=none,id=d,file=null-co://,format=raw",
        "file=null-co://,if=virtio",
        "if=pflash,file=null-co://",
        "if=ide,index=9",
        "media=cdrom",
        "file=x,file=y",
    ],
    "global": ["virtio-blk-device.serial=x", "PIIX4_PM.disable_s3=1", "a", "driver=a,property=b,value=c"],
    "m": ["64", "1G,slots=2,maxmem=4G", "0", "-1", "64,slots=300,maxmem=1E", "99999999999999999999"],
    "incoming": ["defer", "unix:m", "fd:77", "file:nosuch", "{}"],
    "mon": ["chardev=c,mode=control", "c", "chardev=nosuch"],
    "monitor": ["none", "null", "unix:h,server=on,wait=off", "vc"],
    "netdev": ["user,id=n", "tap,id=n,ifname=x", "bogus,id=n", "user"],
    "numa": ["node", "node,memdev=x", "dist,src=0", "x"],
    "object": [
        "iothread,id=i",
        "secret,id=s,data=x",
        "memory-backend-ram,id=r,size=64M",
        "iothread",
        '{"id":1}',
    ],
    "qmp": ["none", "unix:q,server=on,wait=off", "null", "bogus"],
    "serial": ["none", "null", "chardev:c", "unix:t,server=on,wait=off", "bogus"],
    "smp": ["2", "cpus=2,sockets=2", "4,cores=3", "0", "-1", "cpus=x", "1,maxcpus=300", "-0x1", "9" * 5000],
}
"""Arguments that often make sense."""

words = st.sampled_from(
    [
        "",
        "help",
        "?",
        "none",
        "on",
        "off",
        "x",
        "0",
        "-1",
        "64",
        "1G",
        "\u0663",
        "=",
        ",",
        "a=b",
        "a,b",
        ",,",
        "id=x",
        "\0",
    ]
)
pairs = st.builds(
    lambda names, values: ",".join(f"{name}={value}" for name, value in zip(names, values, strict=False)),
    st.lists(
        st.sampled_from(sorted({*PARAMETERS["drive"], *PARAMETERS["chardev"], *board_parameters("pc")})),
        max_size=3,
    ),
    st.lists(words, min_size=3, max_size=3),
)
devices = st.builds(
    lambda driver, rest: f"{driver},{rest}" if rest else driver,
    st.sampled_from(DRIVERS),
    st.sampled_from(
        [
            "",
            "id=x",
            "drive=n",
            "drive=d,id=x",
            "bus=pci.0",
            "bus=nosuch",
            "addr=3",
            "netdev=n",
            "chardev=c",
            "help",
        ]
    ),
)


def written(name: str) -> st.SearchStrategy[tuple[str, ...]]:
    if not TAKES_ARGUMENT[name]:
        return st.just((f"-{name}",))
    arguments = devices if name == "device" else st.one_of(words, pairs)
    if name in USUAL:
        usual = st.sampled_from(USUAL[name])
        arguments = st.one_of(usual, usual, usual, arguments)
    elif name == "machine":
        arguments = st.one_of(st.sampled_from(USUAL["M"]), arguments)
    return arguments.map(lambda argument: (f"-{name}", argument))


often = st.sampled_from([*USUAL, "device", "device", "machine", "nodefaults"]).flatmap(written)
anything = st.sampled_from(OPTIONS).flatmap(written)
lines = st.lists(st.one_of(often, often, often, anything), max_size=5)


async def start(words: Sequence[str]) -> str:
    """Return how it ends."""
    reporter = Reporter("program")
    try:
        wanted = read(split(words), reporter)
        if wanted.answer is not None:
            return "text"
        starter = MachineStarter(wanted, make_config(wanted, reporter), reporter)
    except (UsageError, OptionError):
        return "refused"
    try:
        async with asyncio.timeout(10):
            await starter.start()
    except OptionError as error:
        return "refused" if error.message else "refused without a word"
    except HelpWanted:
        return "text"
    finally:
        await starter.server.close()
    return "machine"


@settings(max_examples=60)
@given(lines)
def test_a_line_is_refused_or_answered_or_makes_a_machine(line: list[tuple[str, ...]]) -> None:
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            end = asyncio.run(start([word for option in line for word in option]))
        finally:
            os.chdir(before)
    assert end in ("refused", "text", "machine")
