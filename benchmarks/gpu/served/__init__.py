"""The whole server on this machine: its models, its start, and what it is asked.

Other programs of the project do it all (`programs`), since this room runs where packages of theirs may be missing.
"""
