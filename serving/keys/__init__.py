"""API keys: who may ask this server, how often, and until when.

A key is told once, when it is made; the store has its SHA-256 alone. `records` says what a key is, `store` keeps them,
`rule` says when they are needed, and `command` is ``python -m serving keys``. Importing this package loads no database
library: a door that needs no keys does without.
"""
