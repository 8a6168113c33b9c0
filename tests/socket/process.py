"""Run this checkout's storage daemon as a process of its own, without guessing when it is ready."""

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
OURS = (sys.executable, "-m", "qmpserver")
TIMEOUT_S = 30.0


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which this checkout's package is found from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(more or {})}


def run_to_end(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the program until it ends by itself."""
    return subprocess.run(
        [*OURS, *words],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


class DaemonProcess:
    """A daemon that is ready when the `with` block begins, and ended when it ends.

    It says that it is ready, and that it stops, over a NOTIFY_SOCKET in its folder.

    Args:
        words: Its options.
        folder: Where it runs.
        pass_fds: Descriptors it inherits.
        variables: What its environment has besides.
        waits_for_ready: The block begins only when it is ready.
        launcher: A command that becomes the daemon whose command line it is given.
        door: The word that says which server it is, if it is not the storage daemon.
    """

    def __init__(
        self,
        *words: str,
        folder: Path,
        pass_fds: Sequence[int] = (),
        variables: Mapping[str, str] | None = None,
        waits_for_ready: bool = True,
        launcher: Sequence[str] = (),
        door: Sequence[str] = (),
    ) -> None:
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self.process = subprocess.Popen(
            [*launcher, *OURS, *door, "--log-level", "warning", *words],
            cwd=folder,
            env=environment({"NOTIFY_SOCKET": str(folder / "notify"), **(variables or {})}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        self._exited = os.pidfd_open(self.process.pid)
        self._waits_for_ready = waits_for_ready

    def __enter__(self) -> Self:
        if self._waits_for_ready:
            try:
                said = self.notification()
                assert said == f"READY=1\nMAINPID={self.process.pid}", said
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        os.close(self._exited)
        os.unlink(self._manager.getsockname())
        self._manager.close()

    def notification(self) -> str:
        """Return what the daemon tells its manager next."""
        ready, _, _ = select.select([self._manager.fileno(), self._exited], [], [], TIMEOUT_S)
        assert self._manager.fileno() in ready, f"the daemon ended: {self.process.communicate()[1].decode()}"
        return self._manager.recv(256).decode()

    def end(self, signal_number: int | None = None) -> tuple[int, str]:
        """Wait for the daemon's end, after a signal if given; return its status and what it complained of."""
        if signal_number is not None:
            self.process.send_signal(signal_number)
        _, complaints = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, complaints.decode()


class Client:
    """A QMP client that has negotiated.

    Args:
        connection: A connected socket; closed with the client.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(TIMEOUT_S)
        self._connection = connection
        self._lines = connection.makefile("rb")
        self.greeting = self.receive()
        assert self.execute("qmp_capabilities") == {"return": {}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lines.close()
        self._connection.close()

    @classmethod
    def at(cls, path: Path | str) -> "Client":
        """Connect to a UNIX socket; a name that begins with a zero byte is abstract."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        return cls(connection)

    def receive(self) -> Any:
        """Return the next message."""
        line = self._lines.readline()
        assert line, "the server closed the connection"
        return json.loads(line)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._connection.sendall(data)

    def send_with_fds(self, data: bytes, *fds: int) -> None:
        """Send bytes, and descriptors with them."""
        socket.send_fds(self._connection, [data], fds)

    def execute(self, command: str, **arguments: Any) -> Any:
        """Send a command and return the reply, passing over events."""
        self.send(json.dumps({"execute": command, "arguments": arguments}).encode())
        while "event" in (message := self.receive()):
            pass
        return message

    def is_closed_by_server(self) -> bool:
        """Say whether the server closes the connection, passing over what it still says."""
        for _ in self._lines:
            pass
        return True
