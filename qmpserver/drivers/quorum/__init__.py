"""The `quorum` driver: several children that should hold the same, and a vote on what they hold.

- :mod:`voting`: which version wins; no I/O.
- :mod:`reports`: what clients hear of children that fail or are outvoted.
- :mod:`driver`: the driver itself.
"""
