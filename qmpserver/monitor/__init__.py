"""QMP over sockets: bytes between clients and commands.  It has never heard of a disk.

* :mod:`~qmpserver.monitor.commands`: what a command is to the monitor, and a client to a command;
* :mod:`~qmpserver.monitor.channel`: a stream of bytes with a client at its other end;
* :mod:`~qmpserver.monitor.client`: one client: its session, its commands under way, its backlog;
* :mod:`~qmpserver.monitor.monitor`: all clients of one set of commands, and the events they get;
* :mod:`~qmpserver.monitor.doors`: where clients come in, or are called;
* :mod:`~qmpserver.monitor.fds`: descriptors that clients passed.

Each file reads bytes, feeds the core in :mod:`qmpserver.qmp`, and writes what it answers; decisions
of the protocol are made there.  Used by :mod:`qmpserver.server`.
"""
