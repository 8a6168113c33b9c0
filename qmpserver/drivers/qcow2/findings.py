"""Add up what a check finds, and tell of it as it is found."""

from collections.abc import Callable

from qmpserver.driver_api.check_result import CheckResult

Report = Callable[[str], object]
"""Told of each error, in a line."""


def tell_nobody(_line: str) -> None:
    """Be the one who is told where nobody wants to know."""


class Findings(CheckResult):
    """A result in the making.

    Args:
        report: Told of each error that is found or put right.
        counts: The counts to begin with.

    Attributes:
        report: As given.
    """

    __slots__ = ("report",)

    def __init__(self, report: Report | None = None, **counts: int) -> None:
        super().__init__(**counts)
        self.report = report or tell_nobody

    def add_corruption(self, line: str, count: int = 1) -> None:
        """Count what was found, and report it unless it is nothing."""
        if count:
            self.corruptions += count
            self.report(line)
