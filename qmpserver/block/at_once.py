"""Write at once what needs neither waiting nor room, without a coroutine for each layer on the way.

That is what most writes of a client are: to clusters that are there, into the page cache.  Whatever is out of the
ordinary is left to :mod:`writing`, which does the same step by step.
"""

from qmpserver.block.view import NodeView


def write(node: NodeView, offset: int, data: memoryview) -> bool:
    """Store `data` in `node`, and say whether it is stored.

    If it is not, some of it may be: the caller stores all of it by :func:`writing.write`, which also finds out
    what is wrong.

    Args:
        node: Where to; no one holds it still, and it has no threshold.
        offset: First byte.
        data: What to store, within the node's size.
    """
    flags = node.flags
    if flags.read_only or not flags.active or flags.detect_zeroes != "off" or node.requests.must_wait:
        return False
    length = len(data)
    driver = node.mapping
    if driver is None:
        is_stored = node.driver.pwrite_at_once(offset, data)
    else:
        mapping = driver.map_at_once(offset, length)
        if mapping is None or not mapping.in_place or mapping.length < length or mapping.child is None:
            return False
        is_stored = mapping.child.pwrite_at_once(mapping.offset, data)
    if is_stored:
        node.note_written(offset, length)
    return is_stored
