"""Run the storage daemon: two passes over the options, then the server until it is told to end.

The first pass answers ``--help`` and ``--version`` and learns how the process is to run; a daemon
leaves the terminal between the passes, before anything is imported that threads or an event loop
would hang on.  The second pass carries out the rest, in order.
"""

import sys
from collections.abc import Sequence

from qmpserver.cli.daemon.plan import make_plan
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving import background
from qmpserver.options.getopt import UsageError


def main(program: str, words: Sequence[str]) -> int:
    """Run the daemon with these options and return its exit status."""
    reporter = Reporter(program)
    try:
        plan = make_plan(program, words, reporter)
    except UsageError as error:
        reporter.error(str(error))
        return 1
    if plan is None:
        return 1
    if plan.answer is not None:
        sys.stdout.write(plan.answer)
        return 0
    parent = background.enter() if plan.daemonize else None

    # The fork comes first.
    from qmpserver.cli.daemon.carry_out import Startup  # noqa: PLC0415 - see above
    from qmpserver.cli.serving.running import run_server  # noqa: PLC0415 - see above

    return run_server(plan, reporter, parent, lambda: Startup(plan.options, reporter))
