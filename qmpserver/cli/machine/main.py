"""Run a machine: read the options, work out what it is to be, then run its server until it is told to end.

A machine that goes to the background leaves the terminal before anything is imported that threads or an event
loop would hang on.
"""

import sys
from collections.abc import Sequence

from qmpserver.cli.machine.board import make_config
from qmpserver.cli.machine.options import split
from qmpserver.cli.machine.reading import read
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving import background
from qmpserver.cli.serving.option_error import OptionError
from qmpserver.options.getopt import UsageError


def main(program: str, words: Sequence[str]) -> int:
    """Run a machine with these options and return the program's exit status."""
    reporter = Reporter(program)
    try:
        wanted = read(split(words), reporter)
        if wanted.answer is not None:
            sys.stdout.write(wanted.answer)
            return 0
        config = make_config(wanted, reporter)
    except UsageError as error:
        reporter.error(str(error))
        return 1
    except OptionError as error:
        reporter.error(error.message, error.about)
        return 1
    parent = background.enter() if wanted.daemonize else None

    # The fork comes first.
    from qmpserver.cli.machine.carry_out import MachineStarter  # noqa: PLC0415 - see above
    from qmpserver.cli.serving.running import run_server  # noqa: PLC0415 - see above

    return run_server(wanted, reporter, parent, lambda: MachineStarter(wanted, config, reporter))
