"""Hold a line that is being edited: its bytes, and where the cursor is; no I/O."""

from typing import Final

_LONGEST: Final = 4095
"""Bytes of the longest line; what is typed beyond is dropped."""


class EditedLine:
    """A line being edited.  A byte is a character, whatever the encoding.

    Attributes:
        content: Its bytes.
        cursor: How many of them are before the cursor.
    """

    def __init__(self) -> None:
        self.content = bytearray()
        self.cursor = 0

    @property
    def before(self) -> bytes:
        """What is before the cursor."""
        return bytes(self.content[: self.cursor])

    def replace(self, content: bytes) -> None:
        """Have another line, with the cursor at its end."""
        self.content[:] = content
        self.cursor = len(content)

    def insert(self, data: bytes) -> None:
        """Put bytes before the cursor."""
        if len(self.content) + len(data) <= _LONGEST:
            self.content[self.cursor : self.cursor] = data
            self.cursor += len(data)

    def to_begin(self) -> None:
        """Move to the beginning."""
        self.cursor = 0

    def to_end(self) -> None:
        """Move to the end."""
        self.cursor = len(self.content)

    def left(self) -> None:
        """Move to the left."""
        self.cursor = max(self.cursor - 1, 0)

    def right(self) -> None:
        """Move to the right."""
        self.cursor = min(self.cursor + 1, len(self.content))

    def delete(self) -> None:
        """Drop the byte behind the cursor."""
        del self.content[self.cursor : self.cursor + 1]

    def backspace(self) -> None:
        """Drop the byte before the cursor."""
        if self.cursor:
            self.left()
            self.delete()

    def erase_word(self) -> None:
        """Drop the word before the cursor, and the blanks between."""
        before = self.before.rstrip()
        start = len(before) - len(before.rsplit(None, 1)[-1]) if before else 0
        del self.content[start : self.cursor]
        self.cursor = start

    def erase_before(self) -> None:
        """Drop all that is before the cursor."""
        del self.content[: self.cursor]
        self.cursor = 0

    def erase_behind(self) -> None:
        """Drop all that is behind the cursor."""
        del self.content[self.cursor :]
