"""Images as the tools name and open them, in process and without a server.

- :mod:`images`: images opened by name, and the objects they refer to.
- :mod:`cache_modes`, :mod:`host_modes`: what ``--cache``, ``--aio`` and ``--discard`` name.
- :mod:`wanted`, :mod:`option_list`: an image by its name, its options and the modes of the command line.
- :mod:`opening`: how such an image is opened; :mod:`internal_snapshot`: showing a snapshot that is inside it.
"""
