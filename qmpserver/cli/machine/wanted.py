"""Hold what a command line asks for, as far as reading it alone tells."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from qmpserver.cli.serving.manner import Manner
from qmpserver.machine.config import NO_UUID
from qmpserver.machine.run_state import Actions
from qmpserver.options.getopt import Option


@dataclass(slots=True)
class Wanted(Manner):
    """What a command line asks for.

    Attributes:
        answer: A text to print instead of running, or None.
        name: The machine's name, or None.
        uuid: Its identity.
        board: What was said of the board, of its processors (`smp`) and of what it boots from (`boot`).
        accelerators: What was said of accelerators, in order.
        cpu: The model of its processors and their features, or None.
        memory: What was said of its memory.
        rtc: What was said of its clock.
        starts_paused: It does not run before it is told to.
        incoming: Where it is to be migrated from, or None.
        loadvm: The snapshot that it begins with, or None.
        actions: What follows on a shutdown and so on.
        display: Where its screen would be shown, or None.
        vga: The kind of its display adapter, or None.
        has_defaults: It has devices that nobody asked for.
        is_nographic: Its serial port and a monitor share the terminal.
        is_snapshot: Its images are not written to.
        qtest: Where a test drives its clock from, or None.
        settings: Properties that devices of some type get, in order: type, property, value.
        steps: What is made on the server, in order.
        serials: Where its serial ports lead, in order.
        recorded: Every option, as written, by name.
    """

    log_level: str = "warning"
    answer: str | None = None
    name: str | None = None
    uuid: UUID = NO_UUID
    board: dict[str, Any] = field(default_factory=dict)
    accelerators: list[str] = field(default_factory=list)
    cpu: str | None = None
    memory: dict[str, int] = field(default_factory=dict)
    rtc: dict[str, str] = field(default_factory=dict)
    starts_paused: bool = False
    incoming: Option | None = None
    loadvm: str | None = None
    actions: Actions = field(default_factory=Actions)
    display: str | None = None
    vga: str | None = None
    has_defaults: bool = True
    is_nographic: bool = False
    is_snapshot: bool = False
    qtest: Option | None = None
    settings: list[tuple[str, str, str]] = field(default_factory=list)
    steps: list[Option] = field(default_factory=list)
    serials: list[Option] = field(default_factory=list)
    recorded: dict[str, list[str]] = field(default_factory=dict)

    def of(self, *names: str) -> list[Option]:
        """Return the steps of some options, in order."""
        return [option for option in self.steps if option.name in names]
