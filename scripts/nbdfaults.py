"""Let NBD exports live under load and faults, and prove their data, for as long as is wished.

    scripts/nbdfaults [--minutes N] [--seed N] [--steps N]

Each life is made from a seed, so what is found can be had again.  It ends at the first loss, saying which life it
was; afterwards `qemu-img check`, where it is installed, has to find each life's images whole.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.torture.nbd_life import run


def check_images(folder: Path) -> None:
    """Have the real tool look at every image of a life.

    Raises:
        CalledProcessError: It found something.
    """
    tool = shutil.which("qemu-img")
    for image in folder.glob("image*"):
        if tool is not None:
            subprocess.run([tool, "check", "-q", "-f", "qcow2", image], check=True, timeout=60)


def main() -> None:
    """Run lives until the time is over."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--minutes", type=float, default=5)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--steps", type=int, default=30, help="faults in a life")
    given = arguments.parse_args()
    end, seed = time.monotonic() + 60 * given.minutes, given.seed
    total: Counter[str] = Counter()
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as name:
            print(f"seed {seed}", flush=True)
            total.update(run(seed, given.steps, Path(name)))
            check_images(Path(name))
        seed += 1
    print(
        f"{seed - given.seed} lives, nothing lost:",
        ", ".join(f"{total[what]} {what}" for what in sorted(total)),
    )


if __name__ == "__main__":
    main()
