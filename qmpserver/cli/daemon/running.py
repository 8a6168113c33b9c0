"""Run the server of a plan on an event loop, from its first option to its last closed image."""

import asyncio
import gc
import signal
from collections.abc import Callable

from qmpserver import log
from qmpserver.cli.daemon import notify, tracing
from qmpserver.cli.daemon.background import Background
from qmpserver.cli.daemon.carry_out import OptionError, Startup
from qmpserver.cli.daemon.pidfile import PidFile
from qmpserver.cli.daemon.plan import Plan
from qmpserver.cli.reports import Reporter
from qmpserver.cli.structured import HelpWanted
from qmpserver.errors import QMPError, error_text
from qmpserver.server import Server

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Each ends the daemon in order."""


def run_server(plan: Plan, reporter: Reporter, parent: Background | None) -> int:
    """Run until told to end; return the exit status.

    Args:
        plan: What to do.
        reporter: Where messages go while starting.
        parent: Who waits for us to be ready, if somebody does.
    """
    try:
        _configure_log(plan)
    except OSError as error:
        reporter.error(f"Error opening logfile {plan.log_path}: {error_text(error)}")
        return 1
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(plan, reporter, parent))


def _configure_log(plan: Plan) -> None:
    stream = open(plan.log_path, "a", encoding="utf-8", buffering=1) if plan.log_path else None  # noqa: SIM115
    detailed = tracing.traced_loggers(plan.trace_patterns) if plan.trace_patterns else ()
    log.configure(plan.log_level, as_json=plan.log_json, detailed=detailed, stream=stream)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - faster where it installs, and not needed
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _run(plan: Plan, reporter: Reporter, parent: Background | None) -> int:
    server = Server()
    startup = Startup(server, reporter)
    pidfile: PidFile | None = None
    try:
        starting = asyncio.ensure_future(_start(startup, plan))
        _end_on_signals(server, starting)
        try:
            pidfile = await starting
        except asyncio.CancelledError:
            return 0
        except OptionError as error:
            reporter.error(error.message, error.about)
            return 1
        except HelpWanted as answer:
            print(answer)
            return 0
        if parent is not None:
            parent.ready()
        notify.notify(notify.READY)
        gc.freeze()
        gc.enable()
        await server.run_until_quit()
        notify.notify(notify.STOPPING)
    finally:
        await server.close()
        if pidfile is not None:
            pidfile.remove()
    return 0


async def _start(startup: Startup, plan: Plan) -> PidFile | None:
    """Carry out all options, then write the process id: who sees the file finds a server that is ready."""
    for option in plan.options:
        await startup.carry_out(option)
    await startup.let_clients_in()
    if plan.pidfile is None:
        return None
    try:
        return PidFile(plan.pidfile)
    except QMPError as error:
        raise OptionError(str(error)) from error


def _end_on_signals(server: Server, starting: "asyncio.Future[PidFile | None]") -> None:
    def end() -> None:
        starting.cancel()
        server.request_shutdown("host-signal")

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, end)
