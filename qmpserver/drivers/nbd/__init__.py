"""The `nbd` protocol: an export of another server as a node.

- :mod:`driver`: the node.
- :mod:`handshake`: comes to terms with a server.
- :mod:`connection`: one connection and its requests, which are pipelined.
- :mod:`lifeline`: keeps a connection, and makes another when it is lost.

The wire is :mod:`qmpserver.nbd`.
"""
