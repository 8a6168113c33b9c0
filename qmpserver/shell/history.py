"""Remember the lines that were typed, from one shell to the next."""

import contextlib
import os
import re
from collections.abc import Mapping

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

_SECRET = re.compile(r"pass(word|phrase)|\bsecret\b.*\bdata\b|\bdata\b.*\bsecret\b", re.DOTALL)


def history_path(environment: Mapping[str, str]) -> str:
    """Return where lines are kept."""
    state = environment.get("XDG_STATE_HOME") or os.path.join(environment.get("HOME", "~"), ".local", "state")
    return os.path.join(os.path.expanduser(state), "qmpserver", "shell-history")


def open_history(path: str) -> History:
    """Return what is kept at a path, readable for its owner only; where that cannot be, a history of this shell."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError:
        return InMemoryHistory()
    return _DiscreetHistory(path)


class _DiscreetHistory(FileHistory):
    """Keeps no line that begins with a blank or seems to hold a secret."""

    def store_string(self, string: str) -> None:
        if is_discreet(string):
            return
        with contextlib.suppress(OSError):  # a full disk is no reason to end
            super().store_string(string)


def is_discreet(line: str) -> bool:
    """Whether a line is not to be kept."""
    return line[:1].isspace() or _SECRET.search(line) is not None
