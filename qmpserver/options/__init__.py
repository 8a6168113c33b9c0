"""The text of options, as QEMU writes them on command lines and in the monitor for people; no I/O.

- :mod:`getopt`: a command line taken apart into options.
- :mod:`keyval`: ``key=value,...`` with dotted keys, whose values are strings; :mod:`flat_options`: the older, flat
  form, whose values have types; :mod:`structured`: either ``key=value,...`` or JSON, as a value of the schema.
- :mod:`option_list`: lists of options of an image; :mod:`cache_modes`, :mod:`host_modes`: words in them.
- :mod:`inet_address`: where a TCP socket is.
- :mod:`protocols`: the protocols of files of which options give the name only.
- :mod:`object_help`: what ``object_add help`` answers.
"""
