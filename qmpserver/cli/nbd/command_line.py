"""List the tool's options, and say what they are for."""

from qmpserver.options.getopt import OptionTable
from qmpserver.version import QEMU_VERSION, __version__

OPTIONS = OptionTable(
    long={
        "help": False,
        "version": False,
        "bind": True,
        "port": True,
        "socket": True,
        "offset": True,
        "read-only": False,
        "allocation-depth": False,
        "bitmap": True,
        "connect": True,
        "disconnect": False,
        "list": False,
        "snapshot": False,
        "load-snapshot": True,
        "nocache": False,
        "cache": True,
        "aio": True,
        "discard": True,
        "detect-zeroes": True,
        "shared": True,
        "format": True,
        "persistent": False,
        "verbose": False,
        "object": True,
        "export-name": True,
        "description": True,
        "tls-creds": True,
        "tls-hostname": True,
        "tls-authz": True,
        "image-opts": False,
        "trace": True,
        "fork": False,
        "pid-file": True,
        "selinux-label": True,
        "handshake-limit": True,
    },
    short={
        "h": "help",
        "V": "version",
        "b": "bind",
        "p": "port",
        "k": "socket",
        "o": "offset",
        "r": "read-only",
        "A": "allocation-depth",
        "B": "bitmap",
        "c": "connect",
        "d": "disconnect",
        "L": "list",
        "s": "snapshot",
        "l": "load-snapshot",
        "n": "nocache",
        "e": "shared",
        "f": "format",
        "t": "persistent",
        "v": "verbose",
        "x": "export-name",
        "D": "description",
        "T": "trace",
    },
    takes_operands=True,
)
"""In QEMU's order, which shows where a shortened name fits several."""

_HELP = """\
Usage: {invoked} [OPTIONS] FILE
  or:  {invoked} -L [OPTIONS]
Offer a disk image over NBD

  -h, --help                show this and exit
  -V, --version             show the version and exit

Connection properties:
  -p, --port=PORT           the port to listen on (10809 when not given)
  -b, --bind=HOST           the address to listen on (0.0.0.0 when not given)
  -k, --socket=PATH         listen on this UNIX socket instead
  -e, --shared=NUM          how many clients there may be at a time; 0 for any
                            number (1 when not given)
  -t, --persistent          go on when the last client has gone
  -v, --verbose             log what clients do
  -x, --export-name=NAME    what clients ask for (the empty name when not given)
  -D, --description=TEXT    what people are told of the export
      --handshake-limit=N   seconds a client has to choose the export (10 when not
                            given); 0 for no limit

Exposing part of the image:
  -o, --offset=OFFSET       leave out so many bytes at the beginning
  -A, --allocation-depth    tell clients which layer a range comes from
  -B, --bitmap=NAME         tell clients what this dirty bitmap says

General purpose options:
  -L, --list                list what another server exports
  --object TYPE,id=ID,...   create an object that the image or TLS needs
  --tls-creds=ID            encrypt with the credentials of this object
  --tls-authz=ID            let in whom this object authorizes
  --tls-hostname=HOSTNAME   whose certificate the server must have, with -L
  -T, --trace [[enable=]PATTERN][,events=FILE][,file=FILE]
                            log in detail what matches; "help" lists what can
  --fork                    go to the background; the command ends once clients
                            can come in
  --pid-file=PATH           write the process id there
  --selinux-label=LABEL     the label of the listening socket

Kernel NBD client support (not available):
  -c, --connect=DEV
  -d, --disconnect

Block device options:
  -f, --format=FORMAT       do not find out the format but take this one
  -r, --read-only           clients may not write
  -s, --snapshot            keep what is written in a temporary overlay
  -l, --load-snapshot=SNAPSHOT
                            offer this internal snapshot, read-only: ID_OR_NAME, or
                            snapshot.id=ID,snapshot.name=NAME
  -n, --nocache             bypass the host's page cache, as with --cache=none
      --cache=MODE          none, writeback (when not given), writethrough,
                            directsync or unsafe
      --aio=MODE            how the host does requests: threads, native or io_uring
      --discard=MODE        what discards do: ignore or unmap
      --detect-zeroes=MODE  look for zeroes in what is written: off, on or unmap
      --image-opts          FILE is a list of options (key=value,...)
"""


def help_text(invoked: str) -> str:
    """Return what ``--help`` prints."""
    return _HELP.format(invoked=invoked)


def version_text(invoked: str) -> str:
    """Return what ``--version`` prints."""
    qemu_version = ".".join(map(str, QEMU_VERSION))
    return f"{invoked} {qemu_version} (qmpserver {__version__})\n"
