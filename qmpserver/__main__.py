"""Choose the door: by the first word, or by the name the program was called by.

    qmpserver [daemon] OPTIONS...
    qmpserver img COMMAND OPTIONS...
    qmpserver io OPTIONS...
    qmpserver shell OPTIONS... ADDRESS

Linked under the name of a QEMU tool, the program behaves as that tool.
"""

import importlib
import os
import sys
from collections.abc import Sequence

DOORS = {
    "daemon": "qmpserver.cli.daemon.main",
    "img": "qmpserver.cli.img.main",
    "io": "qmpserver.cli.io.main",
    "shell": "qmpserver.cli.shell",
}
"""The module behind each word; its `main` takes the program's name and the other words."""

NAMES = {"qemu-storage-daemon": "daemon", "qemu-img": "img", "qemu-io": "io"}
"""The door behind each name of a QEMU tool."""

NOT_BUILT_YET = ("nbd", "machine")
"""Words that will be doors, and are refused by name until then."""


def run(program: str, words: Sequence[str]) -> int:
    """Go through the door that the words ask for.

    Args:
        program: The name the program was called by.
        words: What followed it on the command line.

    Returns:
        The exit status.
    """
    door = NAMES.get(program)
    if door is None:
        door, words = _door(words)
    if door not in DOORS:
        kind = "not supported yet" if door in NOT_BUILT_YET else "not a command"
        known = ", ".join(DOORS)
        print(f"{program}: '{door}' is {kind} (there is: {known})", file=sys.stderr)  # noqa: T201 - a door's voice
        return 1
    main = importlib.import_module(DOORS[door]).main
    status: int = main(program, words)
    return status


def _door(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    if words and not words[0].startswith("-"):
        return words[0], words[1:]
    return "daemon", words


def main() -> int:
    """Run the program on this process's command line."""
    program = os.path.basename(sys.argv[0])
    return run("qmpserver" if program == "__main__.py" else program, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
