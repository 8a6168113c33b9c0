"""Read lines as ``qmp-shell`` does, and some that it refuses.

    COMMAND [KEY=VALUE | KEY.KEY=VALUE | {OBJECT}]...
    transaction( [ACTION [KEY=VALUE]...] [)]
    {"execute": COMMAND, "arguments": {...}}

Whatever ``qmp-shell`` takes means here what it means there, down to the JSON that is sent, but for three things: a
dotted key begins at the top (there it begins where the dotted key before it has led), a quote that is not closed is
refused (there it is left out), and a line that begins with a brace is JSON.  A line that ``qmp-shell`` refuses is
read a second time, with blanks allowed inside brackets and with an object in the place of arguments.
"""

from collections.abc import Callable, Sequence
from typing import Any

from qmpserver.shell.literals import LiteralError, read_brackets, read_value
from qmpserver.shell.words import LineError, split_narrowly, split_widely

Request = dict[str, Any]

_OPEN_TRANSACTION = "transaction("
_CLOSE_TRANSACTION = ")"


class LineReader:
    """Turn lines into requests.

    Attributes:
        actions: The actions of the transaction that is being written, or None when none is.
    """

    def __init__(self) -> None:
        self.actions: list[Request] | None = None

    def read(self, line: str) -> Request | None:
        """Return the request that a line makes, or None when it makes none yet.

        Raises:
            LineError: The line is malformed.  It has changed nothing.
        """
        if line.lstrip().startswith("{"):
            return self._whole(line.strip())
        try:
            return self._take(split_narrowly(line), read_value)
        except LineError:
            words = split_widely(line)
            if words and words[-1].is_open:
                raise LineError("A quote or bracket is not closed") from None
            return self._take([word.text for word in words], _read_strictly)

    def give_up(self) -> None:
        """Forget the transaction that is being written."""
        self.actions = None

    def _whole(self, text: str) -> Request | None:
        """Read a line that is JSON as a whole: a request, or an action."""
        message = _read_strictly(text)
        wanted = ("execute", "exec-oob") if self.actions is None else ("type",)
        if not isinstance(message, dict) or not any(key in message for key in wanted):
            raise LineError(f"The object has no '{wanted[0]}'")
        if self.actions is None:
            return message
        self.actions.append(message)
        return None

    def _take(self, words: Sequence[str], read: Callable[[str], Any]) -> Request | None:
        """Read words; keep what a transaction has so far only if all of them are good."""
        actions = None if self.actions is None else list(self.actions)
        if words and words[0] == _OPEN_TRANSACTION:
            actions, words = [], words[1:]
        if actions is None:
            return _request(words, read)
        closes = bool(words) and words[-1] == _CLOSE_TRANSACTION
        if words and words[0] == _CLOSE_TRANSACTION and len(words) > 1:
            raise LineError("Unexpected input after close of Transaction sub-shell")
        action = words[:-1] if closes else words
        if action:
            actions.append({"type": action[0], "data": arguments_of(action[1:], read)})
        self.actions = None if closes else actions
        return {"execute": "transaction", "arguments": {"actions": actions}} if closes else None


def _request(words: Sequence[str], read: Callable[[str], Any]) -> Request | None:
    if not words:
        return None
    return {"execute": words[0], "arguments": arguments_of(words[1:], read)}


def arguments_of(words: Sequence[str], read: Callable[[str], Any] = read_value) -> Request:
    """Return the arguments that ``key=value`` words write.

    Raises:
        LineError: A word is none, or two of them contradict each other.
    """
    arguments: Request = {}
    for word in words:
        if word.startswith("{") and read is _read_strictly:
            _merge(arguments, _read_strictly(word))
            continue
        key, equals, value = word.partition("=")
        if not equals:
            raise LineError(f"Expected a key=value pair, got '{word}'")
        _put(arguments, key, read(value))
    return arguments


def _put(arguments: Request, key: str, value: Any) -> None:
    """Set the member at a dotted key."""
    *outer, last = key.split(".")
    here = arguments
    for depth, name in enumerate(outer, start=1):
        below = here.setdefault(name, {})
        if not isinstance(below, dict):
            raise _both(outer[:depth])
        here = below
    if isinstance(here.get(last), dict):
        raise _both(outer)
    if last in here:
        raise LineError(f'Cannot set "{key}" multiple times')
    here[last] = value


def _both(path: Sequence[str]) -> LineError:
    return LineError(f'Cannot use "{".".join(path)}" as both leaf and non-leaf key')


def _merge(arguments: Request, more: Any) -> None:
    for key, value in more.items():
        if key in arguments:
            raise LineError(f'Cannot set "{key}" multiple times')
        arguments[key] = value


def _read_strictly(text: str) -> Any:
    """Read a value of the second reading, in which brackets that say nothing are an error."""
    if not text.startswith(("{", "[")):
        return read_value(text)
    try:
        return read_brackets(text)
    except LiteralError as error:
        raise LineError(str(error)) from error
