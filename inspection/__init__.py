"""What a checkpoint must be, whoever reads it: export before it serves one, training before it starts from one.

Every check raises `Unfit`, whose message states the rule, the value and the way out without the checkpoint's name; the
room that asked adds the name and raises an error of its own. See README.md.
"""
