"""Settings for every test."""

from hypothesis import settings

# A slow machine is no failure, and a failure must come again: no deadlines, no chance.
settings.register_profile("qmpserver", deadline=None, derandomize=True)
settings.load_profile("qmpserver")
