"""Nodes offered to others.

Words: an *export* is QEMU's; its *clients* come over connections of their own.

- :mod:`export`: what every export is; :mod:`store`: all of them by id.
- :mod:`nbd_export`: a node offered over NBD; :mod:`nbd_requests` carries out one request on it, and
  :mod:`nbd_contexts` says what block status its contexts tell; :mod:`exported_bitmaps` finds what they tell of.
- :mod:`nbd_server`: listens, lets clients in, holds the bounds; :mod:`nbd_connection` is one client.
- :mod:`nbd_service`: the one server there may be.
- :mod:`fuse_export`: a node offered as a file; :mod:`fuse_file` answers for it, :mod:`fuse_mount` shows it.
- :mod:`tls`: how connections are encrypted.

The wire itself is :mod:`qmpserver.nbd`.
"""
