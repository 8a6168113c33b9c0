"""Choose the door: by the first word, or by the name the program was called by.

    qmpserver [daemon] OPTIONS...
    qmpserver img COMMAND OPTIONS...
    qmpserver io OPTIONS...
    qmpserver nbd OPTIONS... FILE
    qmpserver machine OPTIONS...
    qmpserver link DIR
    qmpserver shell OPTIONS... ADDRESS

Linked under the name of a QEMU tool, the program behaves as that tool.
"""

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Sequence

from qmpserver import heap
from qmpserver.cli.doors import DOORS, help_text, word_of
from qmpserver.lazily import put_off

_SELDOM_USED = (
    "asyncio",
    "asyncio.sslproto",
    "ctypes",
    "heapq",
    "inspect",
    "json",
    "logging",
    "mmap",
    "pickle",
    "platform",
    "resource",
    "signal",
    "ssl",
    "textwrap",
    "tokenize",
    # The documentation of NumPy's functions.
    "numpy._core._add_newdocs",
    "numpy._core._add_newdocs_scalars",
)
"""What a short run may never use.  dataclasses imports inspect only for classes that have no docstring."""


def run(program: str, words: Sequence[str]) -> int:
    """Go through the door that the words ask for.

    Args:
        program: The name the program was called by.
        words: What followed it on the command line.

    Returns:
        The exit status.
    """
    word = word_of(program)
    if word is None:
        if words and words[0] in {"-h", "--help"}:
            sys.stdout.write(help_text(program))
            return 0
        word, words = _door(words)
    door = DOORS.get(word)
    if door is None:
        known = ", ".join(DOORS)
        print(f"{program}: '{word}' is not a command (there is: {known})", file=sys.stderr)  # noqa: T201 - a door's voice
        return 1
    heap.prepare()
    put_off(*_SELDOM_USED)
    status: int = importlib.import_module(door.module).main(program, words)
    return status


def _door(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    if words and not words[0].startswith("-"):
        return words[0], words[1:]
    return "daemon", words


def _complete_standard_streams() -> None:
    """Put nothing in the place of a standard stream that the caller has closed.

    Otherwise an image might get its number, and messages would be written into the image.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.__stdin__ is None:
        sys.stdin = os.fdopen(0)
    if sys.__stdout__ is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.__stderr__ is None:
        sys.stderr = os.fdopen(2, "w")


def main() -> int:
    """Run the program on this process's command line."""
    _complete_standard_streams()
    program = os.path.basename(sys.argv[0])
    try:
        status = run("qmpserver" if program == "__main__.py" else program, sys.argv[1:])
        _end_at_once(status)
        return status
    except KeyboardInterrupt:
        # What was open is closed by now; the rest is as if nobody had caught the signal.
        import signal  # noqa: PLC0415 - hardly ever wanted

        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
        raise
    finally:
        # What is left goes with the process, and need not be looked through for garbage.
        gc.freeze()


def _end_at_once(status: int) -> None:
    """End without taking the interpreter apart, which is a part of a short run's time.

    It returns if what was said cannot be written: that is for the interpreter to tell.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
