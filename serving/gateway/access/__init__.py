"""Who asks: the keys that callers send, what each opens, and how often it may be used.

`rules` says which route needs what, `known` holds the keys of the store in memory, `rates` and `attempts` count, and
`doorkeeper` is what both doors ask for every request.
"""
