"""Say how the process of a server is to run."""

from dataclasses import dataclass, field

from qmpserver.errors import ParameterError
from qmpserver.log import LEVELS


@dataclass(slots=True)
class Manner:
    """How the process is to run.

    Attributes:
        daemonize: It goes to the background.
        pidfile: Where the process id is to be written, or None.
        trace_patterns: What is to be logged in detail.
        log_path: Where the log goes instead of standard error, or None.
        log_level: What else is logged.
        log_json: As JSON lines.
        user: Whom the process becomes once everything is open, a user's name or ``UID:GID``, or None.
        chroot: The only folder that it sees from then on, or None.
    """

    daemonize: bool = False
    pidfile: str | None = None
    trace_patterns: list[str] = field(default_factory=list)
    log_path: str | None = None
    log_level: str = "info"
    log_json: bool = False
    user: str | None = None
    chroot: str | None = None

    def choose_log_level(self, level: str) -> None:
        """Log what ``--log-level`` says.

        Raises:
            ParameterError: There is no such level.
        """
        if level not in LEVELS:
            raise ParameterError(f"Parameter 'log-level' does not accept value '{level}'")
        self.log_level = level
