"""The `nbd` protocol: an export of another server as a node.

- :mod:`driver`: the node.
- :mod:`connection`: one connection, from its handshake to its end; requests are pipelined.
- :mod:`lifeline`: keeps a connection, and makes another when it is lost.

The wire is :mod:`qmpserver.nbd`.
"""
