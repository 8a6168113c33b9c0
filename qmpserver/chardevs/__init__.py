"""Character devices: ways for bytes in and out, known by a label, that a monitor can be put on.

Words: a *chardev* is QEMU's; its *user* is what reads and writes it, here always a monitor.  A socket
chardev lets in any number of clients, where QEMU's has one.

- :mod:`chardev`: what every chardev is, and the simplest.
- :mod:`ringbuf`: a buffer that clients read and write by command.
- :mod:`streams`: files, pipes, terminals, standard input and output.
- :mod:`socket_chardev`: sockets that listen or connect.
- :mod:`store`: all of them by label; made of ``ChardevBackend`` as QMP has it.
- :mod:`options`: what ``--chardev`` says; :mod:`making`: chardevs made of that.
- :mod:`monitoring`: a monitor put on a chardev.
"""
