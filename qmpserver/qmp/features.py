"""Say what a client has asked for beyond what QEMU's clients know."""

from dataclasses import dataclass


@dataclass(slots=True)
class Features:
    """What is switched on for one client; nothing at first.

    Attributes:
        event_sequence: Its events tell their number.
        error_details: Refusals tell a stable code and the names involved.
        request_keys: Its requests may carry a key, by which a request made again is recognised.
    """

    event_sequence: bool = False
    error_details: bool = False
    request_keys: bool = False
