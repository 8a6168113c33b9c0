"""The storage daemon's door: from a command line to a running server and back to an exit status.

- :mod:`main`: the order of things.
- :mod:`plan`: the first pass over the options.
- :mod:`running`: the server's life, from the first option carried out to the last image closed.
- :mod:`command_line`: which options there are, and the help and version texts.
- :mod:`carry_out`: what each option does to the server.
- :mod:`chardevs`: ``--chardev``, and what it says a client comes in by.
- :mod:`monitors`: ``--monitor``, and the short form ``--qmp``.
- :mod:`ways_in`: chardevs as they are opened, and when clients are let in.
- :mod:`object_help`: what ``--object help`` answers.
- :mod:`tracing`: ``--trace``, as levels of the log.
- :mod:`background`: ``--daemonize``.
- :mod:`pidfile`: ``--pidfile``.
- :mod:`notify`: telling a service manager how far things are.

QEMU: ``--export`` and ``--nbd-server`` are known and refused by name.
"""
