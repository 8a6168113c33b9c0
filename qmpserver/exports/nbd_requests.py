"""Carry out one NBD request on an export."""

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine
from typing import Any, Final

from qmpserver import recycling
from qmpserver.block import chain
from qmpserver.driver_api import flags as request_flags
from qmpserver.errors import error_text
from qmpserver.exports.nbd_contexts import Context
from qmpserver.exports.nbd_export import NbdExport
from qmpserver.nbd import wire
from qmpserver.nbd.constants import Command, CommandFlag, Error, error_of
from qmpserver.nbd.server_handshake import HeaderMode, Negotiated
from qmpserver.nbd.server_requests import ReplyWriter, Request, problem_of
from qmpserver.socket_writer import Piece
from qmpserver.units import KiB
from qmpserver.zeroes import is_zero

Reply = list[Piece]
"""Pieces to be sent one after the other."""

SPARSE_READ: Final = 64 * KiB
"""Reads from this length on name holes, which need not be sent."""


class RequestServer:
    """Carries out the requests of one client.

    Args:
        export: What it uses.
        negotiated: How replies are written.
        sends_files: Whether what lies in a file may be sent from there.
    """

    def __init__(self, export: NbdExport, negotiated: Negotiated, *, sends_files: bool) -> None:
        self._export = export
        self._backend = export.backend
        self._writer = ReplyWriter(negotiated.mode)
        self._sends_files = sends_files
        self._is_structured = negotiated.mode is not HeaderMode.SIMPLE
        self._size = negotiated.export.size
        self._contexts: dict[int, Context] = export.contexts(negotiated.contexts)
        self._commands: dict[int, Callable[[Request], Coroutine[Any, Any, Reply]]] = {
            Command.READ: self._read,
            Command.WRITE: self._write,
            Command.FLUSH: self._flush,
            Command.TRIM: self._trim,
            Command.CACHE: self._cache,
            Command.WRITE_ZEROES: self._write_zeroes,
            Command.BLOCK_STATUS: self._block_status,
        }

    def problem_of(self, request: Request) -> Error | None:
        """Return what forbids a request, or None.  What its data says of a range becomes the request's own."""
        if request.command == _BLOCK_STATUS:
            if not self._contexts:
                return Error.EINVAL
            if request.payload:
                return self._adopt_range(request)
        return problem_of(request, self._size, read_only=not self._export.writable)

    def _adopt_range(self, request: Request) -> Error | None:
        """Take the range and the contexts that a request for block status has in its data."""
        data = request.data
        if len(data) < _RANGE.size or (len(data) - _RANGE.size) % _CONTEXT.size:
            return Error.EINVAL
        (request.length,) = _RANGE.unpack_from(data)
        if not all(number in self._contexts for (number,) in _CONTEXT.iter_unpack(data[_RANGE.size :])):
            return Error.EINVAL
        return problem_of(request, self._size, read_only=True)

    def refuse(self, request: Request, error: Error) -> Reply:
        """Return the reply to a request that is forbidden."""
        return [self._writer.failed(request, error)]

    def serve_at_once(self, request: Request) -> Reply | None:
        """Carry out a request that nothing forbids if it need not wait, and return its reply; else None."""
        if request.command == _READ:
            is_short = request.length < SPARSE_READ
            return self._read_at_once(request) if is_short else self._send_file(request)
        if request.command != _WRITE or self._write_flags(request):
            return None
        if not self._backend.pwrite_at_once(request.offset, request.data):
            return None
        recycling.give_back(request.data)
        return [self._writer.done(request)]

    def _read_at_once(self, request: Request) -> Reply | None:
        length = request.length
        if not length:
            return None
        start = self._writer.read_header_size
        buffer = recycling.take(start + length)
        self._writer.put_read_header(buffer, request)
        if self._backend.pread_at_once(request.offset, buffer[start:]):
            return [buffer]
        recycling.give_back(buffer)
        return None

    def _send_file(self, request: Request) -> Reply | None:
        """Send a long range from the file where it lies, unless it may be one that need not be sent."""
        if not self._sends_files:
            return None
        parts = self._backend.find_in_memory(request.offset, request.length)
        if not parts:
            return None
        may_tell_holes = self._is_structured and not request.flags & _DF
        try:
            is_sent = not (may_tell_holes and all(part.may_be_zeroes() for part in parts))
        except OSError:
            # It will show again when it is read in earnest.
            is_sent = False
        if not is_sent:
            for part in parts:
                part.release()
            return None
        return [self._writer.read_header(request), *parts]

    async def serve(self, request: Request) -> Reply:
        """Carry out a request that nothing forbids, and return its reply, whatever becomes of it."""
        try:
            return await self._commands[request.command](request)
        except OSError as error:
            return [self._writer.failed(request, error_of(error.errno), error_text(error))]

    def _write_flags(self, request: Request) -> int:
        needs_fua = self._export.writethrough or request.flags & _FUA
        return request_flags.FUA if needs_fua else 0

    async def _read(self, request: Request) -> Reply:
        length = request.length
        if not length:
            return [self._writer.done(request)]
        may_tell_holes = self._is_structured and length >= SPARSE_READ and not request.flags & _DF
        if may_tell_holes and self._knows_holes:
            return await self._read_sparse(request)
        start = self._writer.read_header_size
        # Header and data in one piece: what is small is sent by one call without being copied again.
        buffer = recycling.take(start + length)
        self._writer.put_read_header(buffer, request)
        data = buffer[start:]
        await self._backend.pread(request.offset, data)
        if may_tell_holes and is_zero(data):
            recycling.give_back(buffer)
            return [self._writer.hole(request, request.offset, length, is_last=True)]
        return [buffer]

    @property
    def _knows_holes(self) -> bool:
        """Whether the node knows its holes by heart; a plain file has to be asked, which takes longer than reading."""
        mapping = self._backend.node.mapping
        return mapping is not None and not mapping.status_follows_child

    async def _read_sparse(self, request: Request) -> Reply:
        """Read what is not known to be zeroes, and name the rest."""
        reply: Reply = []
        offset, end = request.offset, request.offset + request.length
        while offset < end:
            run, is_zero = await self._run(offset, end - offset)
            is_last = offset + run == end
            if is_zero:
                reply.append(self._writer.hole(request, offset, run, is_last=is_last))
            else:
                buffer = recycling.take(run)
                await self._backend.pread(offset, buffer)
                reply += [self._writer.data_header(request, offset, run, is_last=is_last), buffer]
            offset += run
        return reply

    async def _run(self, offset: int, length: int) -> tuple[int, bool]:
        """Return how much of a range is alike, and whether it is known to be zeroes."""
        start, is_zero = offset, False
        end = offset + length
        while offset < end:
            status = await chain.status_above(self._backend.node, offset, end - offset)
            if offset == start:
                is_zero = status.is_zero
            elif status.is_zero != is_zero:
                break
            offset += min(status.length, end - offset)
        return offset - start, is_zero

    async def _write(self, request: Request) -> Reply:
        await self._backend.pwrite(request.offset, request.data, self._write_flags(request))
        # Only now: of a request that failed a part may still be under way.
        recycling.give_back(request.data)
        return [self._writer.done(request)]

    async def _flush(self, request: Request) -> Reply:
        await self._backend.flush()
        return [self._writer.done(request)]

    async def _trim(self, request: Request) -> Reply:
        await self._backend.pdiscard(request.offset, request.length)
        if self._write_flags(request):
            await self._backend.flush()
        return [self._writer.done(request)]

    async def _cache(self, request: Request) -> Reply:
        flags = request_flags.COPY_ON_READ | request_flags.PREFETCH
        buffer = bytearray(min(request.length, _CACHE_PIECE))
        offset, end = request.offset, request.offset + request.length
        while offset < end:
            piece = memoryview(buffer)[: end - offset]
            await self._backend.pread(offset, piece, flags)
            offset += len(piece)
            # What the page cache has is read without waiting; others must have their turn all the same.
            await asyncio.sleep(0)
        return [self._writer.done(request)]

    async def _write_zeroes(self, request: Request) -> Reply:
        flags = self._write_flags(request)
        if not request.flags & CommandFlag.NO_HOLE:
            flags |= request_flags.MAY_UNMAP
        if request.flags & CommandFlag.FAST_ZERO:
            flags |= request_flags.NO_FALLBACK
        await self._backend.pwrite_zeroes(request.offset, request.length, flags)
        return [self._writer.done(request)]

    async def _block_status(self, request: Request) -> Reply:
        if not request.length:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        numbers = [number for (number,) in _CONTEXT.iter_unpack(request.data[_RANGE.size :])]
        wanted = sorted(set(numbers)) or list(self._contexts)
        only_one = bool(request.flags & CommandFlag.REQ_ONE)
        reply: Reply = []
        for number in wanted:
            extents = await self._contexts[number].extents(
                self._backend.node, request.offset, request.length, only_one=only_one
            )
            is_last = number == wanted[-1]
            reply.append(self._writer.block_status(request, number, extents, is_last=is_last))
        return reply


_READ: Final = Command.READ.value
_WRITE: Final = Command.WRITE.value
_BLOCK_STATUS: Final = Command.BLOCK_STATUS.value
_FUA: Final = CommandFlag.FUA.value
_DF: Final = CommandFlag.DF.value
"""As plain numbers: these are looked at for every request."""

_RANGE: Final = wire.U64
_CONTEXT: Final = wire.U32
_CACHE_PIECE: Final = 1024 * KiB
