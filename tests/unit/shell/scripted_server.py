"""A QMP server that says what a test tells it to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from qmpserver.shell.addresses import UnixPath

GREETING = {
    "QMP": {"version": {"qemu": {"major": 1, "minor": 2, "micro": 3}, "package": ""}, "capabilities": []}
}

Answer = Callable[[dict[str, Any]], list[Any]]
"""Gives the messages that follow a request; None ends the connection."""


def echo(request: dict[str, Any]) -> list[Any]:
    """Return every request."""
    return [{"return": request, **({"id": request["id"]} if "id" in request else {})}]


@contextlib.asynccontextmanager
async def serving(path: str, answer: Answer = echo, first: bytes | None = None) -> AsyncIterator[UnixPath]:
    """Serve at a path for as long as the block lasts."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(json.dumps(GREETING).encode() + b"\n" if first is None else first)
        while line := await reader.readline():
            for message in answer(json.loads(line)):
                if message is None:
                    writer.close()
                    return
                writer.write(json.dumps(message).encode() + b"\r\n")
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield UnixPath(path)
    finally:
        server.close()
        for writer in writers:
            writer.close()
