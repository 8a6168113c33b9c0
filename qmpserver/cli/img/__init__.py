"""The image tool: work on disk images from the command line, as ``qemu-img`` does.

Everything runs in this process, on the same engine as the server, without monitors.

- :mod:`main`: the tool's own options, and the way to a subcommand's module.
- :mod:`creation_options`, :mod:`creation`: new images, and what can be said about them.
- :mod:`info_text`, :mod:`map_text`, :mod:`snapshot_list`, :mod:`progress`: what is printed.
- :mod:`amend_options`: what can be said of images that are there already; :mod:`snapshot_choice`: what ``-l`` means.
- :mod:`converter`: moving what a conversion has to move; :mod:`bitmap_copying`: and its bitmaps; :mod:`rate`: no faster
  than allowed.
- :mod:`rebasing`: keeping what an image shows when its backing file becomes another.

What other tools on images need too lies one floor up, in :mod:`qmpserver.cli` and :mod:`qmpserver.cli.images`.

Each subcommand is a module of its name with `OPTIONS`, `HELP` and `run`; only the one that was asked for is
imported, so that each starts fast.
"""
