"""Hold what every drive of a machine finds around it."""

from collections.abc import Callable
from dataclasses import dataclass

from qmpserver.block.graph import Graph
from qmpserver.clock import Clock
from qmpserver.events import EventBus
from qmpserver.machine.media.throttle_groups import ThrottleGroups


@dataclass(frozen=True, slots=True)
class DriveSurroundings:
    """What a drive finds around it.

    Attributes:
        graph: Where its medium is.
        clock: What durations are measured by.
        events: Where errors and trays are told of.
        throttle_groups: The limits it may share.
        stop: Stops the machine because of an error.
    """

    graph: Graph
    clock: Clock
    events: EventBus
    throttle_groups: ThrottleGroups
    stop: Callable[[], object]
