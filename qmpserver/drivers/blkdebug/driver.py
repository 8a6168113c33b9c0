"""The blkdebug filter: what the engine sees of this package."""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from qmpserver.clock import Clock
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.debug_events import DebugHook
from qmpserver.driver_api.driver import not_supported
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import PERM_NONE, ChildRole, Permission, PermissionSet
from qmpserver.driver_api.reopening import ReopensAsItIs
from qmpserver.driver_api.status import BlockStatus
from qmpserver.drivers.blkdebug.config import read_config
from qmpserver.drivers.blkdebug.rules import Injection, IoType, Rules, Transition
from qmpserver.drivers.filter import FilterDriver
from qmpserver.drivers.sizes import check_size
from qmpserver.errors import QMPError

MAX_LIMIT = (1 << 31) - 1
"""Limits must be less."""

_PERMISSIONS = {bit.wire_name: bit for bit in Permission}


class BlkdebugDriver(ReopensAsItIs, FilterDriver):
    """A filter that fails on demand.

    Args:
        image: The child.
        rules: What is to fail, and when.
        options: The filter's other options.
        clock: What delays are measured by.

    Attributes:
        tell: Called with a sentence when a request stops at a breakpoint, and when it is let go.
    """

    format_name: ClassVar[str] = "blkdebug"
    filtered_child: ClassVar[str] = "image"
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (
        ChildSpec("image", ChildRole.FILTERED | ChildRole.PRIMARY),
    )
    strong_options: ClassVar[tuple[str, ...]] = (
        "config",
        "inject-error",
        "set-state",
        "align",
        "max-transfer",
        "opt-write-zero",
        "max-write-zero",
        "opt-discard",
        "max-discard",
    )

    def __init__(self, image: BlockChild, rules: Rules, options: dict[str, Any], clock: Clock) -> None:
        super().__init__(image)
        self._rules = rules
        self._options = options
        self._clock = clock
        self._taken = _permissions(options.get("take-child-perms", ()))
        self._unshared = _permissions(options.get("unshare-child-perms", ()))
        self._suspended: list[tuple[str, asyncio.Event]] = []
        self._watchers: list[asyncio.Future[None]] = []
        self.tell: Callable[[str], None] = lambda _text: None

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter.

        Raises:
            QMPError: The configuration file cannot be read, or a limit makes no sense.
        """
        image = context.child("image")
        assert image is not None
        options = dict(context.options)
        injections, transitions = read_config(options["config"]) if options.get("config") else ([], [])
        rules = Rules(
            injections + [Injection.from_options(entry) for entry in options.get("inject-error", ())],
            transitions + [Transition.from_options(entry) for entry in options.get("set-state", ())],
        )
        _check_limits(options, image.limits.request_alignment)
        return cls(image, rules, options, context.surroundings.clock)

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """Ask for what our users ask, and what the options say."""
        return PermissionSet(used | self._taken, shared & ~self._unshared)

    @property
    def limits(self) -> Limits:
        """What the options say, and for the rest what the child needs."""
        limits, options = super().limits, self._options
        return limits._replace(
            request_alignment=options.get("align") or limits.request_alignment,
            max_transfer=options.get("max-transfer") or limits.max_transfer,
            pwrite_zeroes_alignment=options.get("opt-write-zero", 0),
            max_pwrite_zeroes=options.get("max-write-zero", 0),
            pdiscard_alignment=options.get("opt-discard") or limits.pdiscard_alignment,
            max_pdiscard=options.get("max-discard", 0),
        )

    @property
    def exact_filename(self) -> str | None:
        """The child's name behind ours and that of the configuration, when there are no other options."""
        name = self._file.filename
        if name.startswith("json:") or any(key in self._options for key in self.strong_options[1:]):
            return None
        return f"blkdebug:{self._options.get('config', '')}:{name}"

    @property
    def debug_hook(self) -> DebugHook | None:
        """Listen."""
        return self._on_event

    async def _on_event(self, event: str) -> None:
        """Let an event have its effect, and wait where a breakpoint is met."""
        tags = self._rules.happen(event)
        if tags:
            await self._stop(tags)

    async def _stop(self, tags: Sequence[str]) -> None:
        """Wait until each breakpoint that a request has met is resumed; the latest is met first."""
        held = [(tag, asyncio.Event()) for tag in reversed(tags)]
        self._suspended += held
        for tag in reversed(tags):
            self.tell(f"Suspended request '{tag}'")
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        self._watchers.clear()
        try:
            for _, resumed in held:
                await resumed.wait()
        finally:
            self._suspended = [entry for entry in self._suspended if entry not in held]

    # Breakpoints, for whoever steps through requests by hand.

    def add_breakpoint(self, event: str, tag: str) -> None:
        """Have the next request that meets `event` wait for :meth:`resume`.

        Raises:
            QMPError: There is no such event.
        """
        self._rules.add_breakpoint(event, tag)

    def remove_breakpoint(self, tag: str) -> bool:
        """Forget breakpoints, and let go whoever waits at them; say whether one had not been met yet."""
        had_any = self._rules.remove_breakpoints(tag)
        while self.resume(tag):
            pass
        return had_any

    def resume(self, tag: str) -> bool:
        """Let a request go that waits at a breakpoint of that tag; say whether there was one."""
        for waiting, resumed in self._suspended:
            if waiting == tag and not resumed.is_set():
                self.tell(f"Resuming request '{tag}'")
                resumed.set()
                return True
        return False

    def resume_all(self) -> None:
        """Forget all breakpoints, and let go whoever waits at one."""
        self._rules.forget_breakpoints()
        for tag, _ in list(self._suspended):
            self.resume(tag)

    def is_suspended(self, tag: str) -> bool:
        """Say whether a request waits at a breakpoint of that tag."""
        return any(waiting == tag and not resumed.is_set() for waiting, resumed in self._suspended)

    async def until_suspended(self, tag: str) -> None:
        """Wait until a request waits at a breakpoint of that tag."""
        while not self.is_suspended(tag):
            watcher = asyncio.get_running_loop().create_future()
            self._watchers.append(watcher)
            await watcher

    # Requests

    async def _check(self, kind: IoType, offset: int, length: int) -> None:
        """Delay a request, and fail it, as the rules say."""
        rule = self._rules.check(kind, offset, length)
        if rule is None:
            return
        if rule.delay_ns > 0:
            await self._clock.sleep(rule.delay_ns)
        if rule.errno > 0:
            if not rule.immediately:
                await asyncio.sleep(0)
            raise OSError(rule.errno, os.strerror(rule.errno))

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into`, or fail."""
        await self._check(IoType.READ, offset, len(into))
        await super().pread(offset, into, flags)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data`, or fail."""
        await self._check(IoType.WRITE, offset, len(data))
        await super().pwrite(offset, data, flags)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range zero, or fail; too little is to be written out."""
        limits = self.limits
        if length < max(limits.request_alignment, limits.pwrite_zeroes_alignment):
            raise not_supported()
        await self._check(IoType.WRITE_ZEROES, offset, length)
        await super().pwrite_zeroes(offset, length, flags)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Discard the range, or fail; too little is left as it is."""
        if length < self.limits.pdiscard_alignment:
            raise not_supported()
        await self._check(IoType.DISCARD, offset, length)
        await super().pdiscard(offset, length)

    async def flush(self) -> None:
        """Flush the child, or fail."""
        await self._check(IoType.FLUSH, 0, 0)
        await super().flush()

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what the child says, or fail."""
        await self._check(IoType.BLOCK_STATUS, offset, length)
        return await super().block_status(offset, length)

    async def allocated_size(self) -> int | None:
        """Say nothing, as a protocol that occupies nothing of its own.

        Raises:
            OSError: ENOTSUP, always.
        """
        raise not_supported()


def _permissions(names: list[str] | tuple[()]) -> Permission:
    result = PERM_NONE
    for name in names:
        result |= _PERMISSIONS[name]
    return result


def _check_limits(options: dict[str, Any], child_alignment: int) -> None:
    """Refuse limits that contradict each other.

    Raises:
        QMPError: Naming the first that does.
    """

    def check(name: str, unit: int) -> int:
        value: int = options.get(name, 0)
        check_size(name, value)
        if value and (value >= MAX_LIMIT or value % max(unit, 1)):
            _refuse(name, value)
        return value

    align = options.get("align", 0)
    check_size("align", align)
    if align and (align >= MAX_LIMIT or align & (align - 1)):
        _refuse("align", align)
    align = max(align, child_alignment)
    check("max-transfer", align)
    check("max-write-zero", max(align, check("opt-write-zero", align)))
    check("max-discard", max(align, check("opt-discard", align)))


def _refuse(name: str, value: int) -> None:
    raise QMPError(f"Cannot meet constraints with {name} {value}")
