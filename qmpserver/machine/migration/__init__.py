"""Hand a machine to another process.

`capabilities` is what may be switched on and off about it, `parameters` its figures.  Sending and taking
over are `outgoing` and `incoming`; what is sent is laid down in `stream`.
"""
