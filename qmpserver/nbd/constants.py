"""The numbers of the NBD protocol, under its own names."""

import enum
import errno
from typing import Final

INIT_MAGIC: Final = 0x4E42444D41474943
"""``NBDMAGIC``, with which a server begins."""
OPTION_MAGIC: Final = 0x49484156454F5054
"""``IHAVEOPT``, before the server's flags and each of a client's options."""
OPTION_REPLY_MAGIC: Final = 0x0003E889045565A9
REQUEST_MAGIC: Final = 0x25609513
SIMPLE_REPLY_MAGIC: Final = 0x67446698
STRUCTURED_REPLY_MAGIC: Final = 0x668E33EF
EXTENDED_REQUEST_MAGIC: Final = 0x21E41C71
EXTENDED_REPLY_MAGIC: Final = 0x6E8A278C

MAX_NAME: Final = 4096
"""Bytes of an export's name or a context's, which every implementation must take."""

MAX_PAYLOAD: Final = 32 << 20
"""Bytes of one request's data; servers and clients take no more unless they have agreed on it."""


class HandshakeFlag(enum.IntFlag):
    """What the server offers, and the client accepts, at the very beginning."""

    FIXED_NEWSTYLE = 1 << 0
    NO_ZEROES = 1 << 1


class Option(enum.IntEnum):
    """What a client may ask for while it negotiates."""

    EXPORT_NAME = 1
    ABORT = 2
    LIST = 3
    PEEK_EXPORT = 4
    STARTTLS = 5
    INFO = 6
    GO = 7
    STRUCTURED_REPLY = 8
    LIST_META_CONTEXT = 9
    SET_META_CONTEXT = 10
    EXTENDED_HEADERS = 11


class OptionReply(enum.IntEnum):
    """How a server answers an option."""

    ACK = 1
    SERVER = 2
    INFO = 3
    META_CONTEXT = 4
    ERR_UNSUP = (1 << 31) + 1
    ERR_POLICY = (1 << 31) + 2
    ERR_INVALID = (1 << 31) + 3
    ERR_PLATFORM = (1 << 31) + 4
    ERR_TLS_REQD = (1 << 31) + 5
    ERR_UNKNOWN = (1 << 31) + 6
    ERR_SHUTDOWN = (1 << 31) + 7
    ERR_BLOCK_SIZE_REQD = (1 << 31) + 8
    ERR_TOO_BIG = (1 << 31) + 9
    ERR_EXT_HEADER_REQD = (1 << 31) + 10


class Info(enum.IntEnum):
    """What a server tells of an export."""

    EXPORT = 0
    NAME = 1
    DESCRIPTION = 2
    BLOCK_SIZE = 3


class TransmissionFlag(enum.IntFlag):
    """What can be done with an export."""

    HAS_FLAGS = 1 << 0
    READ_ONLY = 1 << 1
    SEND_FLUSH = 1 << 2
    SEND_FUA = 1 << 3
    ROTATIONAL = 1 << 4
    SEND_TRIM = 1 << 5
    SEND_WRITE_ZEROES = 1 << 6
    SEND_DF = 1 << 7
    CAN_MULTI_CONN = 1 << 8
    SEND_RESIZE = 1 << 9
    SEND_CACHE = 1 << 10
    SEND_FAST_ZERO = 1 << 11
    BLOCK_STATUS_PAYLOAD = 1 << 12


class Command(enum.IntEnum):
    """What a request asks for."""

    READ = 0
    WRITE = 1
    DISC = 2
    FLUSH = 3
    TRIM = 4
    CACHE = 5
    WRITE_ZEROES = 6
    BLOCK_STATUS = 7
    RESIZE = 8


class CommandFlag(enum.IntFlag):
    """How a request is to be carried out."""

    NONE = 0
    FUA = 1 << 0
    NO_HOLE = 1 << 1
    DF = 1 << 2
    REQ_ONE = 1 << 3
    FAST_ZERO = 1 << 4
    PAYLOAD_LEN = 1 << 5


class ChunkFlag(enum.IntFlag):
    """Where a chunk stands in its reply."""

    NONE = 0
    DONE = 1 << 0


class ChunkType(enum.IntEnum):
    """What a chunk of a structured reply holds."""

    NONE = 0
    OFFSET_DATA = 1
    OFFSET_HOLE = 2
    BLOCK_STATUS = 5
    BLOCK_STATUS_EXT = 6
    ERROR = (1 << 15) + 1
    ERROR_OFFSET = (1 << 15) + 2


class StateFlag(enum.IntFlag):
    """What ``base:allocation`` says of a range."""

    HOLE = 1 << 0
    ZERO = 1 << 1


class Error(enum.IntEnum):
    """How a request may fail."""

    EPERM = 1
    EIO = 5
    ENOMEM = 12
    EINVAL = 22
    ENOSPC = 28
    EOVERFLOW = 75
    ENOTSUP = 95
    ESHUTDOWN = 108


_FROM_ERRNO: Final = {
    errno.EPERM: Error.EPERM,
    errno.EROFS: Error.EPERM,
    errno.ENOMEM: Error.ENOMEM,
    errno.EINVAL: Error.EINVAL,
    errno.EFBIG: Error.ENOSPC,
    errno.ENOSPC: Error.ENOSPC,
    errno.EDQUOT: Error.ENOSPC,
    errno.EOVERFLOW: Error.EOVERFLOW,
    errno.ENOTSUP: Error.ENOTSUP,
    errno.ESHUTDOWN: Error.ESHUTDOWN,
}

_TO_ERRNO: Final = {
    Error.EPERM: errno.EPERM,
    Error.EIO: errno.EIO,
    Error.ENOMEM: errno.ENOMEM,
    Error.EINVAL: errno.EINVAL,
    Error.ENOSPC: errno.ENOSPC,
    Error.EOVERFLOW: errno.EOVERFLOW,
    Error.ENOTSUP: errno.ENOTSUP,
    Error.ESHUTDOWN: errno.ESHUTDOWN,
}


def error_of(number: int | None) -> Error:
    """Return the error that stands for an errno; what the protocol has no number for is EIO."""
    return _FROM_ERRNO.get(number or 0, Error.EIO)


def errno_of(error: int) -> int:
    """Return the errno that an error on the wire stands for; what nobody should send is EINVAL."""
    return _TO_ERRNO.get(Error(error), errno.EINVAL) if error in _TO_ERRNO else errno.EINVAL
