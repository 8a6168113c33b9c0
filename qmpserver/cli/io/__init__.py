"""The disk exerciser: single requests to an image by hand, as ``qemu-io`` does.

Everything runs in this process, on the same engine as the server, without monitors.

- :mod:`main`: the tool's own options; command lines from ``-c`` or from standard input.
- :mod:`session`: what is open, and what is in flight; :mod:`interpreter`: how a command line is carried out;
  :mod:`line_input`: the lines that are typed.
- :mod:`command`: how a command describes itself and reads its words; :mod:`table`: all there are.
- :mod:`image`: one that is open, and requests of it.
- :mod:`opening`, :mod:`reopening`, :mod:`reading`, :mod:`writing`, :mod:`extent`, :mod:`info`, :mod:`breakpoints`,
  :mod:`zones`, :mod:`control`: the commands, by what they are about.
- :mod:`numbers`, :mod:`statistics`: numbers as the commands take and print them.

What a command says goes to standard output, complaints about it included; what the engine refuses, and how
a command is to be typed, goes to standard error.  That is where ``qemu-io`` has them.
"""
