"""The disk exerciser: single requests to an image by hand, as ``qemu-io`` does.

Everything runs in this process, on the same engine as the server, without monitors.  What the commands do lies in
:mod:`qmpserver.io_commands`, as a machine's monitor has them too.

- :mod:`main`: the tool's own options; :mod:`running`: command lines from ``-c`` or from standard input.
- :mod:`session`: one run of the tool, and its two streams; :mod:`line_input`: the lines that are typed.
- :mod:`opening`, :mod:`control`: the commands that only the tool has; :mod:`table`: all there are.

What a command says goes to standard output, complaints about it included; what the engine refuses, and how
a command is to be typed, goes to standard error.  That is where ``qemu-io`` has them.
"""
