"""The monitor for people: QEMU's HMP, whose commands are lines and whose answers are text.

Most commands do no work of their own: they send one of QMP's, and show what it says.

- :mod:`expression`, :mod:`parameters`: what is typed behind a command, and how it is read; no I/O.
- :mod:`command`: how a command describes itself.
- :mod:`session`: whose lines they are, and how QMP's commands are called.
- :mod:`interpreter`: how a line is carried out.
- :mod:`table`: all commands.

The other files hold the commands, by what they are about; ``*_text`` those that only show something.
"""
