"""The doors: what a person or a script starts from the command line.

Each door is a package or module with a ``main(program, words) -> int``, which ``__main__`` imports
only when its word was given, so that no door pays for another.

- :mod:`daemon`: the storage daemon.
- :mod:`img`: the image tool.
- :mod:`io`: the disk exerciser.
- :mod:`shell`: the interactive client.
- :mod:`getopt`: options in the manner of ``getopt_long``, in the order they were written.
- :mod:`keyval`: nested ``key=value,...`` with dotted keys, or JSON, as ``--blockdev`` takes it.
- :mod:`flat_options`: flat ``key=value,...`` with typed values, as ``--chardev`` takes it.
- :mod:`reports`: what is said on standard error, and after which prefix.

Only ``__main__`` uses this floor; it may use everything below.
"""
