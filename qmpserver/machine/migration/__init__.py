"""Hand a machine to another process.

`capabilities` is what may be switched on and off about it, `parameters` its figures, `status` where it stands.
`address` says where the state goes, `channel` carries it there, and it comes in by a `door`.  `outgoing` sends
and `incoming` takes over, by what `handover` asks of the machine; `migration` begins either.  What is sent is one
record (`jobs.machine_state`) of a :mod:`~qmpserver.machine.saved_state`.
"""
