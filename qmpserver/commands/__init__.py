"""The commands: one file per schema document, one function per command.

A function's name is the command's with ``_`` for ``-``; its keyword arguments are the command's, in
the same way, with defaults where the schema says optional.  It looks things up, calls one subsystem
and shapes the answer; it touches no bytes.  Its first argument is the
:class:`~qmpserver.daemon.Daemon`; one that asks for a ``client`` is given the connection the command
came over.  :mod:`qmpserver.server` finds the functions and checks them against the schema at start.
"""
