"""Put a bound to what the end of a node, or of a job, may wait for."""

import contextlib
from collections.abc import Iterable, Iterator

from qmpserver.block.node import Node
from qmpserver.driver_api.extras import SupportsHurry


@contextlib.contextmanager
def hurried(tops: Iterable[Node]) -> Iterator[None]:
    """Let nothing at or below `tops` wait without a bound for somebody who does not answer."""
    hurrying = [driver for node in _below(tops) if isinstance(driver := node.driver, SupportsHurry)]
    for driver in hurrying:
        driver.hurry_begin()
    try:
        yield
    finally:
        for driver in hurrying:
            driver.hurry_end()


def cancel_held(top: Node) -> None:
    """Fail what is held back at or below `top` until somebody is there again."""
    for node in _below([top]):
        if isinstance(node.driver, SupportsHurry):
            node.driver.cancel_held()


def _below(tops: Iterable[Node]) -> Iterator[Node]:
    """Go through all protocols at or below `tops`, each once."""
    seen: set[int] = set()
    pending = list(tops)
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.driver.is_protocol:
            yield node
        pending += [edge.node for edge in node.children.values()]
