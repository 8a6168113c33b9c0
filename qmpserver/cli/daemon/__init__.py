"""The storage daemon's door: from a command line to a running server and back to an exit status.

- :mod:`main`: the order of things.
- :mod:`plan`: the first pass over the options.
- :mod:`command_line`: which options there are, and the help and version texts.
- :mod:`carry_out`: what each option does to the server.
"""
