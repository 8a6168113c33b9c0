"""Damage qcow2 images at random, and use, check and repair them, for as long as is wished.

    scripts/fuzz [--minutes N] [--seed N] [--kind N] [--peer] [--go-on]

What comes out must be an error with a name, or correct data; a case that takes long, or more memory than
the process may have, is a finding too.  With `--peer`, what check and repair count is compared with
``qemu-img check`` instead; QMPSERVER_PEERS names the folder of another QEMU than the system's.
"""

import argparse
import asyncio
import random
import resource
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from qmpserver.driver_api.extras import CheckMode
from tests.torture.fields import ImageFields
from tests.torture.fuzz import Mutation, fuzz
from tests.torture.repair import difference
from tests.torture.specimens import KINDS, Specimen, make

SLOW_S = 10.0
MEMORY_BYTES = 3 << 30

Case = Callable[[int], str | None]
"""Tries what is made of a number; says what was found, if anything."""


def use(specimen: Specimen, fields: ImageFields) -> Case:
    """Return what damages and uses an image."""

    def case(seed: int) -> str | None:
        began = time.monotonic()
        try:
            fuzz(specimen, fields, str(seed))
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            return traceback.format_exc()
        took = time.monotonic() - began
        return f"took {took:.0f} s" if took > SLOW_S else None

    return case


def compare(specimen: Specimen, fields: ImageFields, folder: Path) -> Case:
    """Return what damages an image and has both sides check and repair it."""

    def case(seed: int) -> str | None:
        mutation = Mutation(specimen, fields, random.Random(str(seed)))
        found = [difference(mutation, fix, folder) for fix in CheckMode]
        said = [one for one in found if one is not None]
        return "\n".join([str(mutation), *said]) if said else None

    return case


def make_cases(folder: Path, kinds: list[int], *, peer: bool) -> list[Case]:
    """Return the cases of all kinds of images.

    QEMU loses the snapshots of an image that has bitmaps too when it repairs it, so for a comparison no
    image has both.
    """
    cases = []
    for number in kinds:
        for snapshots, bitmaps in ((True, False), (False, True)) if peer else ((True, True),):
            made = make(KINDS[number], has_snapshots=snapshots, has_bitmaps=bitmaps)
            specimen = asyncio.run(made)
            fields = ImageFields(specimen.files["file"])
            cases.append(compare(specimen, fields, folder) if peer else use(specimen, fields))
    return cases


def main() -> None:
    """Try cases until the time is over."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--minutes", type=float, default=5)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument(
        "--kind", type=int, help="only this one of the kinds of tests/torture/specimens.py"
    )
    arguments.add_argument("--peer", action="store_true", help="compare check and repair with qemu-img")
    arguments.add_argument("--go-on", action="store_true", help="do not end at the first finding")
    given = arguments.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    end, seed, findings = time.monotonic() + 60 * given.minutes, given.seed, 0
    with tempfile.TemporaryDirectory() as folder:
        kinds = list(range(len(KINDS))) if given.kind is None else [given.kind]
        cases = make_cases(Path(folder), kinds, peer=given.peer)
        while time.monotonic() < end:
            found = cases[seed % len(cases)](seed)
            if found is not None:
                print(f"case {seed}: {found}", flush=True)
                findings += 1
                if not given.go_on:
                    break
            seed += 1
    print(f"{seed - given.seed} cases, {findings} findings; next seed {seed}")
    raise SystemExit(bool(findings))


if __name__ == "__main__":
    main()
