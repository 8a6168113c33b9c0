"""Know whether somebody may still be reading clusters where they lie in the file.

Meanwhile nothing new goes into clusters that were used before: a reader would see what is not his.  And lest the
file grow because somebody always reads, nobody new may read like that until the present ones have done.
"""


class Lending:
    """Who reads clusters of one image where they lie."""

    def __init__(self) -> None:
        self._readers = 0
        self._is_paused = False

    def begin(self) -> bool:
        """Let one more reader read, and say whether that may be now."""
        if self._is_paused:
            return False
        self._readers += 1
        return True

    def end(self) -> None:
        """Take note that a reader has done."""
        self._readers -= 1
        if not self._readers:
            self._is_paused = False

    def may_use_again(self) -> bool:
        """Say, for somebody who wants it, whether clusters may be used again."""
        self._is_paused = bool(self._readers)
        return not self._is_paused
