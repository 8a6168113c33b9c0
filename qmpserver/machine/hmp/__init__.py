"""The monitor for people: QEMU's HMP, whose commands are lines and whose answers are text.

Most commands do no work of their own: they send one of QMP's, and show what it says.

- :mod:`expression`, :mod:`parameters`: what is typed behind a command, and how it is read; no I/O.
- :mod:`session`: whose lines they are, and how QMP's commands are called; :mod:`command`: how a command describes
  itself.
- :mod:`interpreter`: how a line is carried out; :mod:`table`: all commands; :mod:`completion`: what a word could become.
- :mod:`edited_line`, :mod:`history`, :mod:`line_editor`: how a line is typed, key by key; no I/O.
- :mod:`monitor`: people at the other end of a chardev; :mod:`monitor_object`: the same as an object;
  :mod:`terminal`: a terminal that hands over each key.

The other files hold the commands, by what they are about; ``*_text`` those that only show something.
"""
