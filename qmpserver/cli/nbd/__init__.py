"""The NBD server for one image, as ``qemu-nbd`` is: offer an image until its last client has gone.

Everything runs in this process, on the same engine and exports as the server, without monitors.

- :mod:`main`: the order of things.
- :mod:`command_line`: which options there are, and the help and version texts.
- :mod:`values`: what is wrong with an option's value; :mod:`combinations`: which options do not go together.
- :mod:`address`: where to listen, or whom to ask.
- :mod:`picture`: the image as it is offered; :mod:`serving`: the server's life.
- :mod:`credentials`: ``--tls-creds``; :mod:`forking`: ``--fork``; :mod:`labelling`: ``--selinux-label``.
- :mod:`listing`: ``-L``.

QEMU: ``-c`` and ``-d`` need the kernel's NBD client, and are refused by name.
"""
