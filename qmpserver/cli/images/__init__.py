"""Images as the tools name and open them, in process and without a server.

- :mod:`images`: images opened by name, and the objects they refer to.
- :mod:`wanted`: an image by its name, its options and the modes of the command line.
- :mod:`opening`: how such an image is opened; :mod:`internal_snapshot`: showing a snapshot that is inside it.

What the words of the command line mean lies in :mod:`qmpserver.options`.
"""
