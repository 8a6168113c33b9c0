"""The doors: what a person or a script starts from the command line.

Each door is a package or module with a ``main(program, words) -> int``, which ``__main__`` imports
only when its word was given, so that no door pays for another.

- :mod:`doors`: which there are.
- :mod:`daemon`: the storage daemon.
- :mod:`img`: the image tool.
- :mod:`io`: the disk exerciser.
- :mod:`nbd`: the NBD server for one image.
- :mod:`machine`: a machine without a guest.
- :mod:`shell`: the interactive client.
- :mod:`link`: links under the names of QEMU's tools.
- :mod:`images`: images by the names and options that tools give them, and in which mode.
- :mod:`command_line`: how a subcommand describes and reads its options; :mod:`numbers`, :mod:`option_lists`: their values.
- :mod:`json_text`: what is printed of an image; :mod:`tracing`: the detailed log of a tool; :mod:`probing`: a warning of a
  guessed format.
- :mod:`serving`: what the doors share that let clients in.
- :mod:`pidfile`, :mod:`event_loop`: what the servers among them need of the process.
- :mod:`reports`: what is said on standard error, and after which prefix.

Only ``__main__`` uses this floor; it may use everything below.
"""
