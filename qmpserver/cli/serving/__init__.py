"""What a door needs that lets clients in: used by the storage daemon's and by the machine's.

- :mod:`running`: the server's life, from the first option carried out to the last image closed.
- :mod:`starting`, :mod:`manner`: what it needs of a door: something that starts, and how the process is to run;
  :mod:`option_error`: how that says that something is wrong.
- :mod:`legacy_chardev`: the short forms of ``-serial`` and ``-monitor``, as a chardev.
- :mod:`monitors`: ``--monitor``, and the short form ``--qmp``.
- :mod:`ways_in`: chardevs as they are opened, and when clients are let in.
- :mod:`tracing`: ``--trace``, as levels of the log.
- :mod:`privileges`: becoming another user when everything is open.
- :mod:`background`: ``--daemonize``.
- :mod:`notify`: telling a service manager how far things are.
"""
