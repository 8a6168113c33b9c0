"""Let a test turn the clock of the machine, as ``-qtest`` and ``-qtest-log`` say."""

from typing import TextIO

from qmpserver.chardevs.monitoring import ChardevMonitor
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.legacy_chardev import parse_legacy
from qmpserver.cli.serving.option_error import OptionError
from qmpserver.cli.serving.ways_in import open_chardev
from qmpserver.clock import SteppedClock, SystemClock
from qmpserver.errors import QMPError, error_text
from qmpserver.machine.machine import Machine
from qmpserver.machine.qtest.protocol import QtestProtocol
from qmpserver.machine.qtest.server import QtestLog, QtestServer
from qmpserver.options.getopt import Option

_LABEL = "qtest"


async def open_qtest(machine: Machine, option: Option, log: str | None, reporter: Reporter) -> None:
    """Let the test in.

    Args:
        machine: The machine.
        option: Where the test is.
        log: A file for what is said, or None or ``none`` for nowhere.
        reporter: Where trouble is told.

    Raises:
        OptionError: It cannot be.
    """
    stream = _open_log(log)
    try:
        parsed = parse_legacy(_LABEL, option.value)
        await open_chardev(machine.chardevs, parsed, reporter, option.written)
    except QMPError as error:
        reporter.error(error.description)
        raise OptionError(f'Failed to initialize device for qtest: "{option.value}"') from error
    clock = machine.clock if isinstance(machine.clock, SteppedClock) else None
    protocol = QtestProtocol(clock, lambda path: machine.devices.get(path) is not None)
    server = QtestServer(protocol, QtestLog(stream))
    door = ChardevMonitor(machine.chardevs.take(_LABEL), server, SystemClock())

    async def close() -> None:
        await door.stop()
        await server.close()
        await door.close()
        if stream is not None:
            stream.close()

    machine.on_close.append(close)
    await door.open()


def _open_log(name: str | None) -> TextIO | None:
    if name is None or name == "none":
        return None
    try:
        return open(name, "w", encoding="utf-8")
    except OSError as error:
        raise OptionError(f"Could not open '{name}': {error_text(error)}", f"-qtest-log {name}") from error
