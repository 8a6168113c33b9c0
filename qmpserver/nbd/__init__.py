"""The NBD protocol, both sides of it, without any I/O.

Bytes come in and go out; the carrier reads and writes them.  A connection begins with a *handshake* (options and
their replies), which ends in *transmission* (requests and their replies).

- :mod:`constants`: the numbers of the protocol.
- :mod:`wire`: the fixed shapes, packed and unpacked.
- :mod:`export_info`: what a handshake must know of an export.
- :mod:`names`: what an export is called in one word.
- :mod:`contexts`: metadata contexts and how they are asked for.
- :mod:`server_handshake`, :mod:`server_requests`, :mod:`request_buffer`: the server's side.
- :mod:`client_handshake`, :mod:`client_replies`: the client's side.

Source: the NBD protocol, ``doc/proto.md`` of the NBD project.
"""
