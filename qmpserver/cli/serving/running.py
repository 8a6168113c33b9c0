"""Run a server on an event loop, from its first option to its last closed image."""

import asyncio
from collections.abc import Callable

from qmpserver import heap, log
from qmpserver.cli.event_loop import loop_factory, on_end_signals
from qmpserver.cli.pidfile import PidFile
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving import notify, privileges
from qmpserver.cli.serving.background import Background
from qmpserver.cli.serving.manner import Manner
from qmpserver.cli.serving.option_error import OptionError
from qmpserver.cli.serving.starting import Starter
from qmpserver.errors import QMPError, error_text
from qmpserver.options.structured import HelpWanted
from qmpserver.server import Server
from qmpserver.traced import traced_loggers

_FAILED = "host-error"
"""The cause of an end that no client asked for."""


def run_server(
    manner: Manner, reporter: Reporter, parent: Background | None, make_starter: Callable[[], Starter]
) -> int:
    """Run until told to end; return the exit status.

    Args:
        manner: How the process is to run.
        reporter: Where messages go while starting.
        parent: Who waits for us to be ready, if somebody does.
        make_starter: Makes the server, on the event loop; raises OptionError when it cannot.
    """
    try:
        _configure_log(manner)
    except OSError as error:
        reporter.error(f"Error opening logfile {manner.log_path}: {error_text(error)}")
        return 1
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(manner, reporter, parent, make_starter))


def _configure_log(manner: Manner) -> None:
    log.configure(manner.log_level, as_json=manner.log_json, detailed=traced_loggers(manner.trace_patterns))
    if manner.log_path is not None:
        log.write_to(manner.log_path)


async def _run(
    manner: Manner, reporter: Reporter, parent: Background | None, make_starter: Callable[[], Starter]
) -> int:
    try:
        starter = make_starter()
    except OptionError as error:
        _tell(reporter, error)
        return 1
    server = starter.server
    pidfile: PidFile | None = None
    try:
        starting = asyncio.ensure_future(_start(starter, manner))
        _end_on_signals(server, starting)
        try:
            pidfile = await starting
        except asyncio.CancelledError:
            return 0
        except OptionError as error:
            _tell(reporter, error)
            return 1
        except HelpWanted as answer:
            print(answer)
            return 0
        if parent is not None:
            parent.ready()
        notify.notify(notify.READY)
        heap.settle()
        cause = await server.run_until_quit()
        notify.notify(notify.STOPPING)
    finally:
        await server.close()
        if pidfile is not None:
            pidfile.remove()
    return 1 if cause == _FAILED else 0


async def _start(starter: Starter, manner: Manner) -> PidFile | None:
    """Start, then write the process id: who sees the file finds a server that is ready."""
    await starter.start()
    try:
        pidfile = None if manner.pidfile is None else PidFile(manner.pidfile)
    except QMPError as error:
        raise OptionError(f"cannot create PID file: {error}") from error
    if manner.user is not None or manner.chroot is not None:
        identity = None if manner.user is None else privileges.find_identity(manner.user)
        privileges.give_up(identity, manner.chroot)
    return pidfile


def _end_on_signals(server: Server, starting: "asyncio.Future[PidFile | None]") -> None:
    def end() -> None:
        starting.cancel()
        server.daemon.shut_down("host-signal")

    on_end_signals(end)


def _tell(reporter: Reporter, error: OptionError) -> None:
    reporter.error(error.message, error.about)
    if error.hint:
        reporter.advise(error.hint)
