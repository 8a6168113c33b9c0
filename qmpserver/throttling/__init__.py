"""Slow requests down to what a user allows: arithmetic, fair turns, and no I/O.

- :mod:`limits`: what is allowed, and which combinations make sense.
- :mod:`buckets`: the leaky buckets that say how long a request has to wait.
- :mod:`group`: members that share one set of limits and take turns.

Sizes are bytes, durations nanoseconds; the time comes in as an argument or from a clock.
"""
