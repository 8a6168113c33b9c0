"""The `blkdebug` filter: errors, delays and limits on demand, to see how what is above takes them.

- :mod:`rules`: which errors are to happen when; a state machine with no I/O.
- :mod:`config`: rules from a configuration file.
- :mod:`driver`: the filter itself.
"""
