"""Serve drivers that have nothing to do when their node is reopened."""

from typing import Any


class ReopensAsItIs:
    """A driver's share of being reopened where it is the same in every state; see :class:`SupportsReopen`."""

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        """Find every state to be had."""

    async def commit_reopen(self) -> None:
        """Enter it without further ado."""

    async def abort_reopen(self) -> None:
        """Stay."""
