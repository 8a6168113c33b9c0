"""List the daemon's options, and say what they are for."""

from qmpserver.options.getopt import OptionTable
from qmpserver.version import QEMU_VERSION, __version__

OPTIONS = OptionTable(
    long={
        "blockdev": True,
        "chardev": True,
        "daemonize": False,
        "export": True,
        "help": False,
        "log-json": False,
        "log-level": True,
        "monitor": True,
        "nbd-server": True,
        "object": True,
        "pidfile": True,
        "qmp": True,
        "trace": True,
        "version": False,
    },
    short={"h": "help", "T": "trace", "V": "version"},
)

_HELP = """\
Usage: {program} [options]
Serve disk images, and jobs on them, to QMP clients.  Options are carried out in
the order given; the rest can be done through QMP.

Images:
  --blockdev [driver=]DRIVER,node-name=NAME[,OPTION=VALUE...]
  --blockdev JSON          open a node, as QMP's blockdev-add does
  --object [qom-type=]TYPE,id=ID[,PROPERTY=VALUE...]
  --object JSON            create an object, as QMP's object-add does
  --nbd-server ADDRESS     offer images over NBD: addr.type=unix,addr.path=PATH or
                           addr.type=inet,addr.host=HOST,addr.port=PORT
  --export [type=]TYPE,id=ID,node-name=NAME[,OPTION=VALUE...]
  --export JSON            offer a node, as QMP's block-export-add does

Where clients come in:
  --qmp unix:PATH          listen on a UNIX socket (add ,server=off to connect
                           instead, ,wait=on to start only when a client is there)
  --qmp tcp:HOST:PORT      listen on a TCP port
  --qmp stdio              speak QMP on standard input and output
  --qmp fd:N               use a socket that was passed as descriptor N
  --qmp systemd            use the sockets a service manager passed
  --chardev socket,id=ID,path=PATH[,abstract=on|off][,tight=on|off]
            [,server=on|off][,wait=on|off]
  --chardev socket,id=ID,host=HOST,port=PORT[,to=PORT][,ipv4=on|off][,ipv6=on|off]
            [,nodelay=on|off][,server=on|off][,wait=on|off]
  --chardev socket,id=ID,fd=N[,server=on|off][,wait=on|off]
  --chardev pipe|file,id=ID,path=PATH
  --chardev stdio|pty|ringbuf|null,id=ID
                           say how clients come in, for --monitor to use
  --monitor [chardev=]ID[,mode=control][,pretty=on|off]
                           speak QMP there

The process:
  --daemonize              go to the background once everything is ready
  --pidfile PATH           write the process id there once everything is ready
  --log-level LEVEL        debug, info (as when not given), warning or error
  --log-json               log one JSON object a line
  -T, --trace [[enable=]PATTERN][,events=FILE][,file=FILE]
                           log in detail what matches; --trace help lists what can
  -V, --version            show the version and exit
  -h, --help               show this and exit
"""


def help_text(program: str) -> str:
    """Return what ``--help`` prints."""
    return _HELP.format(program=program)


def version_text(program: str) -> str:
    """Return what ``--version`` prints, as the storage daemon lays it out where the program goes by its name."""
    qemu_version = ".".join(map(str, QEMU_VERSION))
    if program == "qemu-storage-daemon":
        return f"{program} version {qemu_version} (qmpserver {__version__})\n"
    return f"qmpserver version {__version__}\nSpeaks the QMP of QEMU {qemu_version}.\n"
