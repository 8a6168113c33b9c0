"""Commands that only a machine has, one file per document in `schema/machine`.

Their first parameter is called `machine`.
"""
