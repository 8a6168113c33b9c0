"""How often servers are killed: now and then in the suite, and as often as `scripts/crashes` is told."""

import os

TIMES = int(os.environ.get("QMPSERVER_CRASHES", "0"))


def seeds(usual: int) -> range:
    """Return the seeds to try: `usual` many of them, or what the environment asks for."""
    return range(TIMES or usual)
