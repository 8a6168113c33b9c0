"""Cut the power in the lives of random images, for as long as is wished.

    scripts/powercuts [--minutes N] [--seed N] [--kind N] [--steps N] [--cuts N] [--asked N]
    scripts/powercuts --tools [--minutes N] [--seed N] [--cuts N]

With `--tools` it is not lives that are cut but runs of `qmpserver img`.
Each life is made from a seed, so what is found can be had again.  It ends at the first loss, saying what
was done and where the files are; with `--go-on` it counts losses and goes on.
"""

import argparse
import random
import shutil
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tests.torture.powercut import AES, KINDS, LUKS, run
from tests.torture.tool_cuts import Run
from tests.torture.tool_scenes import SCENES


def random_kind(rng: random.Random) -> dict[str, Any]:
    """Return options of an image that go together."""
    kind: dict[str, Any] = {"cluster-size": rng.choice((512, 1024, 4096, 16384, 65536))}
    if rng.random() < 0.4:
        kind |= {"backing-file": "base", "backing-fmt": "raw"}
    if rng.random() < 0.2:
        kind |= {"encrypt": rng.choice((LUKS, AES))}
    if rng.random() < 0.2:
        return {**kind, "version": "v2"}
    kind["refcount-bits"] = rng.choice((1, 2, 4, 8, 16, 32, 64))
    if rng.random() < 0.3:
        kind |= {"extended-l2": True, "cluster-size": rng.choice((16384, 32768))}
    if rng.random() < 0.25:
        raw = "backing-file" not in kind and rng.random() < 0.5
        kind |= {"data-file": True, "data-file-raw": raw}
    elif rng.random() < 0.3:
        kind["compression-type"] = "zstd"
    if "backing-file" not in kind or "extended-l2" in kind:
        kind["preallocation"] = rng.choice(("off", "off", "metadata", "full"))
    return kind


def _cut_life(seed: int, given: argparse.Namespace, folder: Path) -> None:
    rng = random.Random(seed)
    kind = rng.choice(KINDS) if rng.random() < 0.5 else random_kind(rng)
    kind = kind if given.kind is None else KINDS[given.kind]
    try:
        run(kind, seed, steps=given.steps, cuts=given.cuts, asked=given.asked, folder=folder)
    except Exception as error:
        error.add_note(f"{kind}")
        raise


def _cut_tool(seed: int, given: argparse.Namespace, folder: Path) -> None:
    what = list(SCENES)[seed % len(SCENES)]
    run_of_tool = Run(SCENES[what], folder / f"{seed}", seed)
    run_of_tool.at_end()
    run_of_tool.cut(given.cuts)
    shutil.rmtree(folder / f"{seed}")


def main() -> None:
    """Run lives until the time is over."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--minutes", type=float, default=5)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--kind", type=int, help="only this one of the kinds of tests/torture/powercut.py")
    arguments.add_argument("--steps", type=int, default=80)
    arguments.add_argument("--cuts", type=int, default=20)
    arguments.add_argument("--asked", type=int, default=2, help="states that qemu-img judges too")
    arguments.add_argument("--tools", action="store_true", help="cut runs of the image tool")
    arguments.add_argument("--go-on", action="store_true")
    given = arguments.parse_args()
    end, seed, lives, lost = time.monotonic() + 60 * given.minutes, given.seed, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            try:
                (_cut_tool if given.tools else _cut_life)(seed, given, Path(folder))
            except Exception:  # noqa: BLE001 - whatever it is, it is a finding
                print(f"seed {seed}", flush=True)
                lost += 1
                traceback.print_exc()
                if not given.go_on:
                    break
            seed, lives = seed + 1, lives + 1
    print(f"{lives} lives, {lives * given.cuts} power cuts, {lost} losses; next seed {seed}")
    raise SystemExit(bool(lost))


if __name__ == "__main__":
    main()
