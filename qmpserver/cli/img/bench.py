"""``img bench``: measure how fast an image is read or written."""

import asyncio
import time
from dataclasses import dataclass

from qmpserver.cli.command_line import Failure, Given, expecting, table
from qmpserver.cli.images.images import Image, ImageName, Images, cache_mode
from qmpserver.cli.numbers import size_of
from qmpserver.errors import error_text
from qmpserver.numerals import integer
from qmpserver.options.cache_modes import MODES
from qmpserver.options.host_modes import AIO_MODES

OPTIONS = table(
    "f=format t=cache c=count d=depth o=offset s=buffer-size S=step-size w=write i=aio n=native "
    "U=force-share q=quiet",
    {
        "format": True,
        "image-opts": False,
        "cache": True,
        "count": True,
        "depth": True,
        "offset": True,
        "buffer-size": True,
        "step-size": True,
        "write": False,
        "pattern": True,
        "flush-interval": True,
        "no-drain": False,
        "aio": True,
        "native": False,
        "force-share": False,
        "quiet": False,
    },
)

HELP = """\
Usage: {invoked} [-f FORMAT | --image-opts] [options] FILE
Measure how fast an image is read or written.

  -f, --format FORMAT        do not find out the format but take this one
  --image-opts               FILE is a list of options (key=value,...)
  -t, --cache MODE           open the image in this cache mode
  -c, --count COUNT          so many requests (75000 when not given)
  -d, --depth DEPTH          so many at a time (64)
  -o, --offset OFFSET        the first begins there (0)
  -s, --buffer-size SIZE     bytes of each (4k)
  -S, --step-size SIZE       bytes from the beginning of one to that of the next (the same)
  -w, --write                write; else read
  --pattern PATTERN          write this byte (0)
  --flush-interval INTERVAL  flush after so many requests
  --no-drain                 do not wait for the others before a flush
  -i, --aio BACKEND          accepted: threads, native or io_uring; ours is the same for all
  -n, --native               the same as "-i native"
  -U, --force-share          others may write the image meanwhile
  -q, --quiet                print errors only
  --object OBJECT            create an object that the image needs
"""

_MOST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done."""

    count: int
    depth: int
    offset: int
    size: int
    step: int
    is_write: bool
    pattern: int
    flush_interval: int
    drains: bool


async def run(given: Given) -> int:
    """Measure."""
    plan = _plan(given)
    if len(given.operands) != 1:
        expecting("one image file name")
    if given.last("cache") not in {None, *MODES}:
        raise Failure("Invalid cache mode")
    cache = cache_mode(given, "cache")
    is_native = given.has("native") or given.last("aio") == "native"
    name = ImageName.of(given, given.operands[0], cache=cache, writable=plan.is_write)
    async with Images(given) as images:
        image = await images.open(name)
        if is_native and not cache.direct:
            raise Failure(
                f"Could not open '{name.text}': aio=native was specified, but it requires cache.direct=on, "
                "which was not specified."
            )
        # QEMU: -q keeps none of this back.
        _announce(plan)
        began = time.perf_counter()
        await _Bench(image, plan).run()
        elapsed = time.perf_counter() - began
    print(f"Run completed in {elapsed:3.3f} seconds.")
    return 0


def _plan(given: Given) -> _Plan:
    is_write = given.has("write")
    size = size_of("buffer size", given.last("buffer-size") or "4k", 1, _MOST)
    flush_interval = _number(given, "flush-interval", "flush interval", 0)
    if flush_interval and not is_write:
        raise Failure("--flush-interval is only available in write tests")
    count = _number(given, "count", "request count", 75000, least=1)
    depth = _number(given, "depth", "queue depth", 64, least=1)
    if flush_interval and flush_interval < depth:
        raise Failure("Flush interval can't be smaller than depth")
    aio = given.last("aio")
    if aio is not None and aio not in AIO_MODES:
        raise Failure(f"Invalid aio option: {aio}")
    return _Plan(
        count=count,
        depth=depth,
        offset=size_of("offset", given.last("offset") or "0"),
        size=size,
        step=size_of("step size", given.last("step-size") or "0", 0, _MOST) or size,
        is_write=is_write,
        pattern=_number(given, "pattern", "pattern byte", 0, most=0xFF),
        flush_interval=flush_interval,
        drains=not given.has("no-drain"),
    )


def _number(given: Given, option: str, what: str, default: int, *, least: int = 0, most: int = _MOST) -> int:
    text = given.last(option)
    if text is None:
        return default
    number = integer(text)
    if number is None:
        raise Failure(f"Invalid {what} specified: '{text}'")
    if not least <= number <= most:
        raise Failure(f"Invalid {what} specified. Must be between {least} and {most}.")
    return number


def _announce(plan: _Plan) -> None:
    kind = "write" if plan.is_write else "read"
    print(
        f"Sending {plan.count} {kind} requests, {plan.size} bytes each, {plan.depth} in parallel "
        f"(starting at offset {plan.offset}, step size {plan.step})"
    )
    if plan.flush_interval:
        # QEMU: it says so with --no-drain as well.
        print(f"Sending flush every {plan.flush_interval} requests", flush=True)


class _Bench:
    """Requests in flight, each taking up the next when it has ended."""

    def __init__(self, image: Image, plan: _Plan) -> None:
        self._image = image
        self._plan = plan
        self._next = 0
        self._ended = 0
        self._offset = plan.offset
        self._span = image.size - plan.size
        """Where the last request may begin; those that would begin behind it go back to the beginning."""

    async def run(self) -> None:
        """Carry all of them out.

        Raises:
            Failure: One failed.
        """
        plan = self._plan
        waits = plan.flush_interval if plan.drains else 0
        try:
            while self._next < plan.count:
                await self._run_up_to(min(self._next + waits, plan.count) if waits else plan.count)
                if waits and self._next % waits == 0:
                    await self._image.backend.flush()
        except OSError as error:
            raise Failure(f"Failed request: {error_text(error)}") from error

    async def _run_up_to(self, count: int) -> None:
        """Carry out what is left of so many requests, and wait until none is in flight."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._plan.depth, count - self._next)):
                    group.create_task(self._work(count))
        except ExceptionGroup as failed:
            # Not `except*`: what that raises would come in a group again.
            raise failed.exceptions[0] from failed

    async def _work(self, count: int) -> None:
        plan, backend = self._plan, self._image.backend
        buffer = memoryview(bytearray([plan.pattern]) * plan.size)
        flags = self._image.write_flags
        while self._next < count:
            self._next += 1
            offset = self._take_offset()
            if plan.is_write:
                await backend.pwrite(offset, buffer, flags)
            else:
                await backend.pread(offset, buffer)
            self._ended += 1
            if not plan.drains and plan.flush_interval and self._ended % plan.flush_interval == 0:
                await backend.flush()

    def _take_offset(self) -> int:
        offset = self._offset
        self._offset += self._plan.step
        self._offset = self._offset % self._span if self._span > 0 else 0
        return offset
