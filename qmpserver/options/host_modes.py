"""Say which ways there are for the host to do requests and discards."""

AIO_MODES = ("threads", "native", "io_uring")

DISCARD_MODES = {"ignore": "ignore", "off": "ignore", "unmap": "unmap", "on": "unmap"}
"""What the names of ways to discard mean."""
