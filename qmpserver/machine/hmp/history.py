"""Remember lines that were typed; no I/O."""

from typing import Final

_MOST_LINES: Final = 64


class History:
    """Lines that were typed, each of them once.

    Attributes:
        lines: The lines, the oldest first.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._position = 0

    def add(self, line: str) -> None:
        """Remember a line as the latest."""
        if line:
            if line in self.lines:
                self.lines.remove(line)
            self.lines.append(line)
            del self.lines[:-_MOST_LINES]
        self._position = len(self.lines)

    def older(self) -> str | None:
        """Return the line before the one that is shown, or None."""
        return self._move(-1)

    def newer(self) -> str | None:
        """Return the line after the one that is shown, which is empty behind the latest, or None."""
        return self._move(1)

    def _move(self, step: int) -> str | None:
        position = self._position + step
        if not 0 <= position <= len(self.lines):
            return None
        self._position = position
        return self.lines[position] if position < len(self.lines) else ""
