"""Say on standard error what is wrong, after the words it is about."""

import contextlib
import os

STDERR = 2

HINTS = {
    "Parameter 'id' expects an identifier": (
        "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."
    ),
    "expects a non-negative number below 2^64": (
        "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
        "and exabytes, respectively."
    ),
}
"""What QEMU adds on the command line, and not in QMP, below a message that ends so."""


class Reporter:
    """Write messages under the program's name.

    Args:
        program: The name it was called by.
    """

    def __init__(self, program: str) -> None:
        self.program = program

    def error(self, message: str, about: str = "") -> None:
        """Report what ends the program, or an option's part of it."""
        self._write(f"{self.program}: {about + ': ' if about else ''}{message}")
        for end, hint in HINTS.items():
            if message.endswith(end):
                self._write(hint)

    def warning(self, message: str, about: str = "", hint: str = "") -> None:
        """Report what is accepted but not good."""
        self.error(f"warning: {message}", about)
        if hint:
            self._write(hint)

    def deprecation(self, what: str, instead: str) -> None:
        """Report what is accepted still, and what to write instead."""
        self.warning(what, hint=instead)

    def note(self, message: str, about: str = "") -> None:
        """Report what someone who waits would want to know."""
        self.error(f"info: {message}", about)

    def advise(self, line: str) -> None:
        """Say how to go on, without the prefix."""
        self._write(line)

    @staticmethod
    def _write(line: str) -> None:
        """Write a line, with undecodable words of the command line as the bytes they were."""
        with contextlib.suppress(OSError):
            os.write(STDERR, os.fsencode(line) + b"\n")
