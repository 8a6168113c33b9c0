"""Ask the server for the names that live in it, so that they can be completed."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from qmpserver.shell.client import CommandFailed, NotConnected

Execute = Callable[..., Awaitable[Any]]
"""Runs a command with keywords as its arguments, and returns what it returns."""


class LiveNames:
    """Knows which command tells which names.

    Args:
        execute: Runs a command on the server.
    """

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def of(self, kind: str, beside: Mapping[str, Any], partial: str) -> Sequence[str]:
        """Return the names of a kind; none where the server cannot tell.

        Args:
            kind: A kind that the schema names: `node`, `job`, `bitmap`, ...
            beside: The arguments beside the wanted one.
            partial: What is written of it.
        """
        if kind == "file":
            return _files(partial)
        ask = {
            "node": self._nodes,
            "job": self._jobs,
            "object": self._objects,
            "bitmap": self._bitmaps,
            "export": self._exports,
            "chardev": self._chardevs,
        }.get(kind)
        if ask is None:
            return []
        try:
            return sorted(set(await ask(beside)))
        except (CommandFailed, NotConnected):
            return []

    async def _nodes(self, _: Mapping[str, Any]) -> list[str]:
        nodes = [node["node-name"] for node in await self._all_nodes() if "node-name" in node]
        try:
            devices = [device["device"] for device in await self._execute("query-block")]
        except CommandFailed:  # a storage daemon has no devices
            devices = []
        return [name for name in nodes + devices if name]

    async def _all_nodes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._execute("query-named-block-nodes", flat=True)
        return found

    async def _jobs(self, _: Mapping[str, Any]) -> list[str]:
        return [job["id"] for job in await self._execute("query-jobs")]

    async def _objects(self, _: Mapping[str, Any]) -> list[str]:
        return [
            found["name"]
            for found in await self._execute("qom-list", path="/objects")
            if found["type"].startswith("child<")
        ]

    async def _bitmaps(self, beside: Mapping[str, Any]) -> list[str]:
        node = beside.get("node") or beside.get("node-name") or beside.get("device")
        return [
            bitmap["name"]
            for found in await self._all_nodes()
            if node in (None, found.get("node-name"))
            for bitmap in found.get("dirty-bitmaps", ())
            if bitmap.get("name")
        ]

    async def _exports(self, _: Mapping[str, Any]) -> list[str]:
        return [found["id"] for found in await self._execute("query-block-exports")]

    async def _chardevs(self, _: Mapping[str, Any]) -> list[str]:
        return [found["label"] for found in await self._execute("query-chardev")]


def _files(partial: str) -> list[str]:
    """Return the files of this machine that a path may become; folders end with a slash."""
    folder, start = os.path.split(partial)
    try:
        with os.scandir(folder or ".") as entries:
            return sorted(
                os.path.join(folder, entry.name) + ("/" if entry.is_dir() else "")
                for entry in entries
                if entry.name.startswith(start) and (start or not entry.name.startswith("."))
            )
    except OSError:
        return []
