"""Tell a service manager how far the program is, by systemd's notification protocol.

Source: sd_notify(3), "NOTIFY_SOCKET".
"""

import contextlib
import os
import socket

READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(state: str) -> None:
    """Send one state to the manager; does nothing where none asked for it, or it went away."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(address)
        sender.send(f"{state}\nMAINPID={os.getpid()}".encode() if state == READY else state.encode())
