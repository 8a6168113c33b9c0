"""Edit lines that are typed byte by byte on a terminal; no I/O.

What is shown are QEMU's own sequences: after a change the cursor goes back to the beginning, the whole line is
written anew, and the cursor goes where it belongs.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from qmpserver.machine.hmp.edited_line import EditedLine
from qmpserver.machine.hmp.history import History

_LEFT, _RIGHT, _ERASE = b"\x1b[D", b"\x1b[C", b"\x1b[K"
_SCREEN, _NARROWEST = 80, 10
_ESCAPE, _END_OF_SEQUENCE = 0x1B, 0x7E

_SHOWN_AT_ONCE = 64 << 10
"""Bytes after which there is a pause to let what is shown be read."""

Complete = Callable[[str], Sequence[str]]
"""Says what the last word of a line could be, whole."""


class _Mode(Enum):
    PLAIN = "plain"
    ESCAPE = "after an escape"
    SEQUENCE = "in a sequence"


_BEGINS = frozenset(b"[O")
"""What makes a sequence of an escape."""


class LineEditor:
    """A line being typed.

    Args:
        prompt: What stands before it.
        complete: What a word could become.
        history: The lines before.
    """

    def __init__(self, prompt: str, complete: Complete, history: History) -> None:
        self._prompt = prompt.encode()
        self._complete = complete
        self._history = history
        self._line = EditedLine()
        self._pending = bytearray()
        self._out = bytearray()
        self._shown = b""
        self._shown_cursor = 0
        self._mode = _Mode.PLAIN
        self._parameter = b""
        self._keys = _keys(self._line) | {
            _control("I"): self._complete_word,
            _control("N"): lambda: self._recall(history.newer()),
            _control("P"): lambda: self._recall(history.older()),
        }
        self._sequences: Mapping[bytes, Callable[[], None]] = {
            b"A": self._keys[_control("P")],
            b"B": self._keys[_control("N")],
            b"C": self._line.right,
            b"D": self._line.left,
            **dict.fromkeys((b"F", b"4~", b"8~"), self._line.to_end),
            **dict.fromkeys((b"H", b"1~", b"7~"), self._line.to_begin),
            b"3~": self._line.delete,
        }

    def feed(self, data: bytes) -> None:
        """Take what was typed."""
        self._pending += data

    def show_prompt(self) -> None:
        """Begin a line."""
        self._out += self._prompt
        self._shown, self._shown_cursor = b"", 0

    def take_output(self) -> bytes:
        """Return what is to be shown, and forget it."""
        out = bytes(self._out)
        self._out.clear()
        return out

    @property
    def has_more(self) -> bool:
        """Whether there is more of what was typed than was looked at."""
        return bool(self._pending)

    def next_line(self) -> str | None:
        """Return a line that was ended, or None when there is none yet, or much to be shown first."""
        for position, byte in enumerate(self._pending, start=1):
            if self._mode is _Mode.PLAIN and byte in b"\r\n":
                del self._pending[:position]
                return self._end_line()
            self._handle(byte)
            self._show()
            if len(self._out) >= _SHOWN_AT_ONCE:
                del self._pending[:position]
                return None
        self._pending.clear()
        return None

    def _end_line(self) -> str:
        line = os.fsdecode(bytes(self._line.content))
        self._history.add(line)
        self._line.replace(b"")
        self._out += b"\r\n"
        return line

    # Keys

    def _handle(self, byte: int) -> None:
        match self._mode:
            case _Mode.PLAIN if byte == _ESCAPE:
                self._mode = _Mode.ESCAPE
            case _Mode.PLAIN if byte in self._keys:
                self._keys[byte]()
            case _Mode.PLAIN if byte >= ord(" "):
                self._line.insert(bytes([byte]))
            case _Mode.ESCAPE:
                self._mode = _Mode.SEQUENCE if byte in _BEGINS else _Mode.PLAIN
                self._parameter = b""
            case _Mode.SEQUENCE if byte in b"0123456789;":
                self._parameter += bytes([byte])
            case _Mode.SEQUENCE:
                self._mode = _Mode.PLAIN
                key = bytes([byte])
                key = self._parameter + key if byte == _END_OF_SEQUENCE else key
                if key in self._sequences:
                    self._sequences[key]()

    def _recall(self, line: str | None) -> None:
        if line is not None:
            self._line.replace(os.fsencode(line))

    # Completion

    def _complete_word(self) -> None:
        before = os.fsdecode(self._line.before)
        found = self._complete(before)
        if not found:
            return
        common = _common_begin(found)
        word = before.split(" ")[-1]
        self._line.insert(os.fsencode(common[len(word) :]))
        if len(found) > 1:
            self._show()
            self._list(found)
            self.show_prompt()
        elif not common.endswith("/"):
            self._line.insert(b" ")

    def _list(self, words: Sequence[str]) -> None:
        width = min(max(max(map(len, words)) + 2, _NARROWEST), _SCREEN)
        columns = _SCREEN // width
        self._out += b"\r\n"
        for first in range(0, len(words), columns):
            row = "".join(word.ljust(width) for word in words[first : first + columns])
            self._out += os.fsencode(row) + b"\r\n"

    # What is shown

    def _show(self) -> None:
        """Bring what is shown up to date."""
        content, cursor = bytes(self._line.content), self._line.cursor
        if content != self._shown:
            self._out += _LEFT * self._shown_cursor + content + _ERASE
            self._shown, self._shown_cursor = content, len(content)
        steps = cursor - self._shown_cursor
        self._out += (_RIGHT if steps > 0 else _LEFT) * abs(steps)
        self._shown_cursor = cursor


def _control(letter: str) -> int:
    return ord(letter) & 0x1F


def _keys(line: EditedLine) -> dict[int, Callable[[], None]]:
    """Return what keys do to the line alone."""
    return {
        _control("A"): line.to_begin,
        _control("B"): line.left,
        _control("D"): line.delete,
        _control("E"): line.to_end,
        _control("F"): line.right,
        _control("H"): line.backspace,
        _control("K"): line.erase_behind,
        _control("U"): line.erase_before,
        _control("W"): line.erase_word,
        0x7F: line.backspace,
    }


def _common_begin(words: Sequence[str]) -> str:
    first, last = min(words), max(words)
    for position, character in enumerate(first):
        if last[position : position + 1] != character:
            return first[:position]
    return first
